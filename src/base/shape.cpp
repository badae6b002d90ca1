#include "weft/base/shape.h"

#include "weft/base/error.h"

namespace weft {

std::size_t dtype_size(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::f8e4m3:
    case DType::u8:
      return 1;
  }
  return 0;
}

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::f8e4m3:
      return "f8e4m3";
    case DType::i32:
      return "i32";
    case DType::u8:
      return "u8";
  }
  return "?";
}

Shape::Shape(std::initializer_list<std::int64_t> dims)
    : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  WEFT_ASSERT(rank_ <= max_rank, "shape of rank {}", rank_);
  for (int i = 0; i < rank_; ++i) {
    const auto at = static_cast<std::size_t>(i);
    WEFT_ASSERT(dims[at] >= 0, "negative dimension {}", dims[at]);
    dims_[at] = dims[at];
  }
}

std::int64_t Shape::operator[](int i) const {
  if (i < 0) i += rank_;
  WEFT_ASSERT(i >= 0 && i < rank_, "dimension {} of shape {}", i, str());
  return dims_[static_cast<std::size_t>(i)];
}

std::int64_t Shape::numel() const {
  std::int64_t n = 1;
  for (const std::int64_t d : dims()) n *= d;
  return n;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i) text += (i ? ", " : "") + std::to_string((*this)[i]);
  return text + "]";
}

Shape Shape::with(int axis, std::int64_t size) const {
  Shape other = *this;
  if (axis < 0) axis += rank_;
  WEFT_ASSERT(axis >= 0 && axis < rank_, "dimension {} of shape {}", axis, str());
  other.dims_[static_cast<std::size_t>(axis)] = size;
  return other;
}

}  // namespace weft
