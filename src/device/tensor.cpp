#include "weft/device/tensor.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "weft/device/device_api.h"

namespace weft {
namespace {

constexpr std::size_t alignment = 64;  // a cache line, and the widest vector

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return 0x7FC0;  // rounding could turn a NaN into an infinity
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

const DeviceApi& cuda() {
  const DeviceApi* api = cuda_device_api();
  if (api == nullptr) fail("no CUDA device: {}", cuda_absent_reason());
  return *api;
}

}  // namespace

const char* device_name(DeviceKind kind) { return kind == DeviceKind::cpu ? "cpu" : "cuda"; }

Storage::Storage(std::size_t bytes, DeviceKind device) : bytes_(bytes), device_(device) {
  if (device == DeviceKind::cuda) {
    data_ = static_cast<std::byte*>(cuda().allocate(bytes));
    return;
  }
  const std::size_t rounded =
      (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
  data_ = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
  if (data_ == nullptr) {
    fail("out of memory: {:.2f} GB could not be allocated", static_cast<double>(bytes) / 1e9);
  }
}

Storage::Storage(void* data, std::size_t bytes, DeviceKind device, std::shared_ptr<void> owner)
    : data_(static_cast<std::byte*>(data)),
      bytes_(bytes),
      device_(device),
      owner_(std::move(owner)) {}

Storage::~Storage() {
  if (owner_ != nullptr || data_ == nullptr) return;
  if (device_ == DeviceKind::cuda) {
    cuda_device_api()->release(data_);
  } else {
    std::free(data_);
  }
}

Tensor Tensor::empty(const Shape& shape, DType dtype, DeviceKind device) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(t.bytes(), device);
  return t;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, DeviceKind device) {
  Tensor t = empty(shape, dtype, device);
  fill_zero(t);
  return t;
}

Tensor Tensor::view(void* data, const Shape& shape, DType dtype, DeviceKind device,
                    std::shared_ptr<void> owner) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(data, t.bytes(), device, std::move(owner));
  return t;
}

Tensor Tensor::from(std::span<const float> values, const Shape& shape) {
  Tensor t = empty(shape);
  WEFT_ASSERT(static_cast<std::int64_t>(values.size()) == shape.numel(), "{} values for {}",
              values.size(), shape.str());
  std::memcpy(t.raw(), values.data(), t.bytes());
  return t;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
  WEFT_ASSERT(0 <= begin && begin <= end && end <= dim(0), "slice {}..{} of {}", begin, end,
              shape_.str());
  Tensor t = *this;
  t.shape_ = shape_.with(0, end - begin);
  const std::int64_t row = dim(0) == 0 ? 0 : numel() / dim(0);
  t.offset_ += static_cast<std::size_t>(begin * row) * dtype_size(dtype_);
  return t;
}

Tensor Tensor::reshape(const Shape& shape) const {
  WEFT_ASSERT(shape.numel() == numel(), "reshape {} to {}", shape_.str(), shape.str());
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_, device());
  copy(*this, t);
  return t;
}

Tensor Tensor::to(DeviceKind target) const {
  if (device() == target) return *this;
  Tensor t = empty(shape_, dtype_, target);
  copy(*this, t);
  return t;
}

Tensor Tensor::as(DType target) const {
  if (dtype_ == target) return *this;
  Tensor t = empty(shape_, target);
  const auto count = static_cast<std::size_t>(numel());
  if (dtype_ == DType::f32 && target == DType::bf16) {
    auto* to = reinterpret_cast<std::uint16_t*>(t.raw());
    for (std::size_t i = 0; i < count; ++i) to[i] = to_bf16(data<float>()[i]);
  } else if (dtype_ == DType::bf16 && target == DType::f32) {
    const auto* from = reinterpret_cast<const std::uint16_t*>(raw());
    for (std::size_t i = 0; i < count; ++i) {
      t.data<float>()[i] = std::bit_cast<float>(static_cast<std::uint32_t>(from[i]) << 16);
    }
  } else {
    fail("no conversion from {} to {}", dtype_name(dtype_), dtype_name(target));
  }
  return t;
}

void fill_zero(Tensor t) {
  if (t.device() == DeviceKind::cpu) {
    std::memset(t.raw(), 0, t.bytes());
  } else {
    cuda().zero(t.raw(), t.bytes());
  }
}

void copy(const Tensor& from, Tensor to) {
  WEFT_ASSERT(from.numel() == to.numel() && from.dtype() == to.dtype(), "copy {} {} to {} {}",
              dtype_name(from.dtype()), from.shape().str(), dtype_name(to.dtype()),
              to.shape().str());
  if (from.bytes() == 0) return;
  const bool from_cpu = from.device() == DeviceKind::cpu;
  const bool to_cpu = to.device() == DeviceKind::cpu;
  if (from_cpu && to_cpu) {
    std::memmove(to.raw(), from.raw(), from.bytes());
  } else if (from_cpu) {
    cuda().copy_from_host(to.raw(), from.raw(), from.bytes());
  } else if (to_cpu) {
    cuda().copy_to_host(to.raw(), from.raw(), from.bytes());
  } else {
    cuda().copy_within(to.raw(), from.raw(), from.bytes());
  }
}

}  // namespace weft
