#pragma once
// Files that several nodes create, read and remove at the same time.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int file) : file_(file) {}
  ~FileHandle();
  FileHandle(FileHandle&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  [[nodiscard]] int get() const { return file_; }
  explicit operator bool() const { return file_ >= 0; }

 private:
  int file_ = -1;
};

struct FileSeen {
  std::string content;
  std::uint64_t inode = 0;
};

/// None when there is no such file (or no such folder); Error for anything else.
std::optional<FileSeen> read_file(const std::filesystem::path& path);

/// Error when that cannot be told (no rights, input/output error).
bool file_exists(const std::filesystem::path& path);
/// A file that is not there is no error.
void remove_file(const std::filesystem::path& path);

/// All of it, from offset 0; Error when a byte cannot be written.
void write_file(int file, std::string_view content, const std::filesystem::path& path);

/// 128 random bits in hexadecimal.
std::string random_token();

/// `path` with the whole content, brought to the disk, or none when `path` exists already. The
/// handle can rewrite that file whatever becomes of its name. Error otherwise.
std::optional<FileHandle> create_exclusively(const std::filesystem::path& path,
                                             std::string_view content);

/// Replaces `path` by a file with this content. Error otherwise.
void replace_file(const std::filesystem::path& path, std::string_view content);

/// Removes `path` if it is the file that `is_it` accepts; says whether this call removed it. Of
/// several callers one succeeds. A file that came in between is put back under its name.
bool remove_if(const std::filesystem::path& path,
               const std::function<bool(const FileSeen&)>& is_it);

void sync_folder(const std::filesystem::path& folder);

}  // namespace weft
