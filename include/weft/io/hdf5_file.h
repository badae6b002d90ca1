#pragma once
// A small face over the HDF5 C API: typed attributes and datasets in groups. Writing happens under
// a temporary name; commit() writes, fsyncs and renames, so a file with its final name is whole.
// All content carries checksums: a damaged file gives an InputError, never other values. The HDF5
// library serves one thread at a time.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "weft/device/tensor.h"

namespace weft {

/// Collects the file in memory; the disk is touched by commit() only. Text is UTF-8 without U+0000.
/// The same calls give the same bytes.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::filesystem::path& path);
  ~Hdf5Writer();  // without commit(): the temporary file is removed
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;
  // `where` is an absolute path such as "/config"; missing groups are made.
  void attribute(const std::string& group, const std::string& name, const std::string& value);
  void attribute(const std::string& group, const std::string& name, double value);
  void attribute(const std::string& group, const std::string& name, std::int64_t value);
  void dataset(const std::string& where, std::span<const double> values, const Shape& shape);
  void dataset(const std::string& where, std::span<const std::int64_t> values, const Shape& shape);
  void dataset(const std::string& where, const Tensor& tensor);  // f32, i32 or u8, on the CPU
  void dataset(const std::string& where, const std::vector<std::string>& values);
  void commit(const std::filesystem::path& previous = {});  // as of AtomicPath

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Every failure is an InputError with the file and the object: what the file lacks, or its damage.
class Hdf5Reader {
 public:
  explicit Hdf5Reader(const std::filesystem::path& path);  // InputError when not an HDF5 file
  ~Hdf5Reader();
  Hdf5Reader(const Hdf5Reader&) = delete;
  Hdf5Reader& operator=(const Hdf5Reader&) = delete;
  [[nodiscard]] bool has(const std::string& where) const;
  [[nodiscard]] std::vector<std::string> children(const std::string& group) const;
  [[nodiscard]] std::vector<std::string> attributes(const std::string& group) const;
  [[nodiscard]] std::string attribute_text(const std::string& group,
                                           const std::string& name) const;  // any type, printed
  [[nodiscard]] double attribute_number(const std::string& group, const std::string& name) const;
  [[nodiscard]] std::int64_t attribute_integer(const std::string& group,
                                               const std::string& name) const;
  [[nodiscard]] Tensor tensor(const std::string& where) const;                // f32, i32 or u8
  [[nodiscard]] std::vector<double> numbers(const std::string& where) const;  // flattened
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& where) const;  // flattened
  [[nodiscard]] Shape shape(const std::string& where) const;
  [[nodiscard]] std::vector<std::string> strings(const std::string& where) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "HDF5 1.10.8": of the library in use.
std::string hdf5_version();

}  // namespace weft
