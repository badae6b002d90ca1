#pragma once
// A contiguous row-major tensor: a shape over shared storage on one device. Copying a Tensor copies
// the handle, not the data; outputs are therefore passed by value and written through.

#include <cstddef>
#include <memory>
#include <span>

#include "weft/base/error.h"
#include "weft/base/shape.h"

namespace weft {

enum class DeviceKind : std::uint8_t { cpu, cuda };
const char* device_name(DeviceKind kind);

/// Bytes on one device, freed with the last handle. CPU storage is 64-byte aligned unless it is a
/// view of foreign memory (a mapped file).
class Storage {
 public:
  Storage(std::size_t bytes, DeviceKind device);
  /// A view: `owner` keeps `data` alive.
  Storage(void* data, std::size_t bytes, DeviceKind device, std::shared_ptr<void> owner);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] DeviceKind device() const { return device_; }
  /// What a backend derives from these bytes and wants to keep exactly as long as they live
  /// (weights reordered for a matmul or convolution). Only the backend's Ops touches it.
  std::shared_ptr<void> prepared;
  /// A weight that linear() may multiply by in fp8 when the job's precision is fp8.
  bool reducible = false;

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  DeviceKind device_;
  std::shared_ptr<void> owner_;
};

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};

class Tensor {
 public:
  Tensor() = default;  // "no tensor": an optional input that is absent
  static Tensor empty(const Shape& shape, DType dtype = DType::f32,
                      DeviceKind device = DeviceKind::cpu);
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32,
                      DeviceKind device = DeviceKind::cpu);
  static Tensor view(void* data, const Shape& shape, DType dtype, DeviceKind device,
                     std::shared_ptr<void> owner);
  /// A CPU float tensor holding a copy of `values`.
  static Tensor from(std::span<const float> values, const Shape& shape);

  [[nodiscard]] bool defined() const { return storage_ != nullptr; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::int64_t dim(int i) const { return shape_[i]; }
  [[nodiscard]] std::int64_t numel() const { return shape_.numel(); }
  [[nodiscard]] std::size_t bytes() const {
    return static_cast<std::size_t>(numel()) * dtype_size(dtype_);
  }
  [[nodiscard]] DType dtype() const { return dtype_; }
  [[nodiscard]] DeviceKind device() const { return storage_->device(); }
  [[nodiscard]] const std::shared_ptr<Storage>& storage() const { return storage_; }
  [[nodiscard]] std::byte* raw() const { return storage_->data() + offset_; }

  /// Typed pointer to the first element; the type must match dtype().
  template <class T>
  [[nodiscard]] T* data() const {
    WEFT_ASSERT(dtype_ == DTypeOf<std::remove_const_t<T>>::value, "tensor holds {}",
                dtype_name(dtype_));
    return reinterpret_cast<T*>(raw());
  }
  template <class T = float>
  [[nodiscard]] std::span<T> span() const {
    return {data<T>(), static_cast<std::size_t>(numel())};
  }

  /// Rows [begin, end) of the first dimension; shares storage.
  [[nodiscard]] Tensor slice(std::int64_t begin, std::int64_t end) const;
  /// The same elements under another shape; shares storage.
  [[nodiscard]] Tensor reshape(const Shape& shape) const;
  /// A deep copy.
  [[nodiscard]] Tensor clone() const;
  /// The same values on `device`: this tensor itself when that is where it is.
  [[nodiscard]] Tensor to(DeviceKind device) const;
  /// The values as f32 or bf16 (to nearest, ties to even): this tensor itself when it is of that
  /// type. CPU only.
  [[nodiscard]] Tensor as(DType dtype) const;

 private:
  std::shared_ptr<Storage> storage_;
  std::size_t offset_ = 0;  // bytes
  Shape shape_;
  DType dtype_ = DType::f32;
};

/// Copies all elements; shapes (by count), dtypes must agree, devices may differ.
void copy(const Tensor& from, Tensor to);
/// Copies the box of `extent` elements that begins at element `from_at` of `from` to the one that
/// begins at `to_at` of `to`. Equal rank (2 ... 4), type and device; the two boxes must not overlap
/// in memory. On CUDA in the order of the stream, like every operation.
void copy_box(const Tensor& from, std::span<const std::int64_t> from_at, Tensor to,
              std::span<const std::int64_t> to_at, std::span<const std::int64_t> extent);
void fill_zero(Tensor t);

}  // namespace weft
