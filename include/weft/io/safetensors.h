#pragma once
// safetensors files, memory-mapped and checked against every rule of the format (spec 1) before a
// single tensor is handed out. Weights are untrusted input: nothing is allocated from a length in
// the file before it has been compared with the file's size.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "weft/base/error.h"
#include "weft/device/tensor.h"
#include "weft/io/file_stamp.h"

namespace weft {

class MappedFile;

/// One tensor of a file, as stored.
struct StoredTensor {
  std::string dtype;  // the file's own name: "F32", "BF16", "I64", ...
  Shape shape;
  const std::byte* data;  // valid as long as the file object lives; element-aligned not guaranteed
  std::size_t bytes;
};

class SafetensorsFile {
 public:
  /// Maps and validates. InputError: file, what is wrong, what was expected. When the file is
  /// shortened while it is mapped, the process ends with a line that names it.
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  [[nodiscard]] const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Size and time of the very file that is mapped, whatever bears its name now.
  [[nodiscard]] const FileStamp& stamp() const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<MappedFile> map_;
  std::map<std::string, StoredTensor> tensors_;
};

/// All tensors of a component folder: `stem`.safetensors, or the shards named by
/// `stem`.safetensors.index.json (every name must be in the shard the index says; no path may leave
/// the folder; missing or doubled shards and tensors are reported together). A folder with a single
/// file and an index that names other files is refused: which of them is meant cannot be told.
class TensorFiles {
 public:
  TensorFiles(const std::filesystem::path& folder, const std::string& stem);
  /// nullptr when there is no such tensor.
  [[nodiscard]] const StoredTensor* find(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;  // sorted
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::size_t total_bytes() const;
  [[nodiscard]] const std::vector<std::unique_ptr<SafetensorsFile>>& files() const {
    return files_;
  }

 private:
  std::filesystem::path folder_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, const StoredTensor*> by_name_;
};

/// Writes float32 or u8 tensors as one safetensors file (temporary name, then renamed).
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, Tensor>& tensors);

/// Converts stored F32, F16 or BF16 elements to float32, exactly. InputError names any other dtype;
/// the caller's ScopedContext says which tensor.
void convert_to_f32(const StoredTensor& from, float* to);

}  // namespace weft
