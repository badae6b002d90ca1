#pragma once
// Element types and tensor shapes. Sizes are int64_t everywhere; overflow is checked where a shape
// comes from a file.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace weft {

enum class DType : std::uint8_t { f32, f16, bf16, f8e4m3, i32, u8 };

std::size_t dtype_size(DType dtype);
const char* dtype_name(DType dtype);

/// Dimensions of a contiguous row-major tensor, at most 6 of them; rank 0 is a scalar.
class Shape {
 public:
  static constexpr int max_rank = 6;
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(std::span<const std::int64_t> dims);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] std::int64_t operator[](int i) const;  // negative counts from the back
  [[nodiscard]] std::int64_t numel() const;
  [[nodiscard]] std::string str() const;  // "[3, 480, 832]"
  [[nodiscard]] std::span<const std::int64_t> dims() const {
    return {dims_.data(), static_cast<std::size_t>(rank_)};
  }
  /// The same shape with dimension `axis` replaced.
  [[nodiscard]] Shape with(int axis, std::int64_t size) const;
  friend bool operator==(const Shape& a, const Shape& b) {
    return a.rank_ == b.rank_ && a.dims_ == b.dims_;
  }

 private:
  std::array<std::int64_t, max_rank> dims_{};  // unused entries stay 0, so == may compare all
  int rank_ = 0;
};

}  // namespace weft
