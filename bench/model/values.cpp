#include "values.h"

#include <algorithm>
#include <cmath>

#include "weft/base/rng.h"
#include "weft/device/device_api.h"
#include "weft/io/safetensors.h"

namespace weft::bench {

Tensor random_values(const Shape& shape, std::uint64_t seed) {
  Tensor t = Tensor::empty(shape);
  const std::span<float> values = t.span();
  const std::size_t piece = std::min<std::size_t>(values.size(), 1 << 20);
  philox_randn(seed, 0, values.first(piece));
  for (std::size_t done = piece; done < values.size(); done += piece) {
    const std::size_t n = std::min(piece, values.size() - done);
    std::copy_n(values.begin(), n, values.begin() + static_cast<std::ptrdiff_t>(done));
  }
  return t;
}

Tensor on_device(const Ops& ops, const Tensor& host, DType type) {
  if (ops.device() == DeviceKind::cpu) return host;
  Tensor t = Tensor::empty(host.shape(), type, ops.device());
  cuda_device_api()->load(t.raw(), type, host.raw(), DType::f32, host.numel());
  return t;
}

Tensor on_host(const Tensor& t) {
  const Tensor host = t.to(DeviceKind::cpu);
  if (host.dtype() == DType::f32) return host;
  WEFT_ASSERT(host.dtype() == DType::bf16, "{} is no type of an activation",
              dtype_name(host.dtype()));
  Tensor wide = Tensor::empty(host.shape());
  convert_to_f32({"BF16", host.shape(), host.raw(), host.bytes()}, wide.data<float>());
  return wide;
}

void require_finite(const Tensor& t, const char* what) {
  const Tensor host = on_host(t);
  const std::span<const float> values = host.span();
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    fail("{} {} holds values that are infinite or not a number", what, t.shape().str());
  }
}

}  // namespace weft::bench
