#pragma once
// Owners for HDF5 identifiers, and the library's error stack as text. The serial library serves one
// thread at a time.

#include <filesystem>
#include <string>
#include <utility>

#include <hdf5.h>

namespace weft {

/// Owns one identifier and the function that closes it. Move-only; the destructor never throws.
class Hdf5Id {
 public:
  using Close = herr_t (*)(hid_t);
  Hdf5Id() = default;
  Hdf5Id(hid_t id, Close close) : id_(id), close_(close) {}
  ~Hdf5Id() { reset(); }
  Hdf5Id(Hdf5Id&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Hdf5Id& operator=(Hdf5Id&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  [[nodiscard]] hid_t get() const { return id_; }
  [[nodiscard]] bool valid() const { return id_ >= 0; }
  /// Gives the identifier up: the caller closes it.
  [[nodiscard]] hid_t release() { return std::exchange(id_, H5I_INVALID_HID); }
  void reset() {
    if (valid()) close_(release());
  }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

/// Starts the library with its own printing of errors turned off.
void hdf5_start();

/// The error stack of the call that has just failed, outermost cause last, on one line.
std::string hdf5_error();

/// Whether the file has a global heap, the only place of the format without a checksum: text of
/// variable length and what virtual datasets are made of lie there, and the library (1.10.8) may
/// crash or never come back when they are damaged. Reads the file through.
bool hdf5_has_global_heap(const std::filesystem::path& path);

/// A string type for at most `bytes` bytes of UTF-8 and the NUL that ends them.
Hdf5Id hdf5_text_type(std::size_t bytes);

}  // namespace weft
