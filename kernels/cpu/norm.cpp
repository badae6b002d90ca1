// Normalisations: one row at a time, sums in 16 fixed lanes whatever the vector width.
#include <cmath>

#include "cpu_ops.h"
#include "parallel.h"
#include "simd.h"

namespace weft::cpu {
namespace {

constexpr std::int64_t sum_lanes = 16;

float fold(float (&lane)[sum_lanes]) {
  for (std::int64_t half = sum_lanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i) lane[i] += lane[i + half];
  }
  return lane[0];
}

/// sum of f(x[i]) in a fixed order.
template <class F>
float sum_of(const float* x, std::int64_t count, F f) {
  float lane[sum_lanes] = {};
  std::int64_t i = 0;
  for (; i + sum_lanes <= count; i += sum_lanes) {
    for (std::int64_t j = 0; j < sum_lanes; ++j) lane[j] += f(x[i + j]);
  }
  for (std::int64_t j = 0; i + j < count; ++j) lane[j] += f(x[i + j]);
  return fold(lane);
}

struct Moments {
  float mean, inverse_deviation;
};

Moments moments(const float* x, std::int64_t width, float eps) {
  const float n = static_cast<float>(width);
  const float mean = sum_of(x, width, [](float v) { return v; }) / n;
  const float variance = sum_of(x, width, [mean](float v) { return (v - mean) * (v - mean); }) / n;
  return {mean, 1.F / std::sqrt(variance + eps)};
}

float inverse_rms(const float* x, std::int64_t width, float eps) {
  const float squares = sum_of(x, width, [](float v) { return v * v; });
  return 1.F / std::sqrt(squares / static_cast<float>(width) + eps);
}

const float* row_of(const TokenRows& rows, std::int64_t token) {
  const std::int64_t row = token < rows.split ? 0 : rows.rows.dim(0) - 1;
  return rows.rows.data<float>() + row * rows.rows.dim(1);
}

void check_rows(const Tensor& x, const Tensor& y, std::int64_t width, const char* op) {
  WEFT_ASSERT(x.shape() == y.shape() && x.dim(-1) == width, "{}: x {}, y {}, parameters [{}]", op,
              x.shape().str(), y.shape().str(), width);
}

}  // namespace

void CpuOps::layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias, float eps,
                        Tensor y) {
  const std::int64_t width = x.dim(1);
  check_rows(x, y, weight.rows.dim(1), "layer_norm");
  check_rows(x, y, bias.rows.dim(1), "layer_norm");
  for_ranges(threads_, x.dim(0), width * 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float* from = x.data<float>() + i * width;
      float* to = y.data<float>() + i * width;
      const float* w = row_of(weight, i);
      const float* b = row_of(bias, i);
      const auto [mean, inverse] = moments(from, width, eps);
      for (std::int64_t j = 0; j < width; ++j) to[j] = (from[j] - mean) * inverse * w[j] + b[j];
    }
  });
}

void CpuOps::rms_norm(const Tensor& x, const Tensor& w, float eps, Tensor y) {
  const std::int64_t width = x.dim(1);
  check_rows(x, y, w.numel(), "rms_norm");
  const float* weight = w.data<float>();
  for_ranges(threads_, x.dim(0), width * 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float* from = x.data<float>() + i * width;
      float* to = y.data<float>() + i * width;
      const float inverse = inverse_rms(from, width, eps);
      for (std::int64_t j = 0; j < width; ++j) to[j] = from[j] * inverse * weight[j];
    }
  });
}

void CpuOps::rms_norm_rope(const Tensor& x, const Tensor& w, float eps, const Tensor& cos,
                           const Tensor& sin, Tensor y) {
  const std::int64_t width = x.dim(1);
  const std::int64_t pairs = cos.dim(1);  // within one head
  check_rows(x, y, w.numel(), "rms_norm_rope");
  WEFT_ASSERT(cos.shape() == Shape({x.dim(0), pairs}) && sin.shape() == cos.shape() &&
                  width % (2 * pairs) == 0,
              "rms_norm_rope: x {}, cos {}, sin {}", x.shape().str(), cos.shape().str(),
              sin.shape().str());
  const float* weight = w.data<float>();
  for_ranges(threads_, x.dim(0), width * 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float* from = x.data<float>() + i * width;
      float* to = y.data<float>() + i * width;
      const float* c = cos.data<float>() + i * pairs;
      const float* s = sin.data<float>() + i * pairs;
      const float inverse = inverse_rms(from, width, eps);
      for (std::int64_t head = 0; head < width; head += 2 * pairs) {
        for (std::int64_t j = 0; j < pairs; ++j) {
          const std::int64_t at = head + 2 * j;
          const float x1 = from[at] * inverse * weight[at];
          const float x2 = from[at + 1] * inverse * weight[at + 1];
          to[at] = x1 * c[j] - x2 * s[j];
          to[at + 1] = x1 * s[j] + x2 * c[j];
        }
      }
    }
  });
}

void CpuOps::channel_norm(const Tensor& x, const Tensor& gamma, Activation act, Tensor y) {
  const std::int64_t width = x.dim(-1);
  check_rows(x, y, gamma.numel(), "channel_norm");
  WEFT_ASSERT(act != Activation::gelu_tanh, "channel_norm: activation none or silu");
  const float* weight = gamma.data<float>();
  const float root = std::sqrt(static_cast<float>(width));
  for_ranges(threads_, x.numel() / width, width * 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float* from = x.data<float>() + i * width;
      float* to = y.data<float>() + i * width;
      const float norm = std::sqrt(sum_of(from, width, [](float v) { return v * v; }));
      const float factor = root / (norm < 1e-12F ? 1e-12F : norm);
      for (std::int64_t j = 0; j < width; ++j) to[j] = from[j] * factor * weight[j];
      if (act == Activation::silu) map(to, to, width, [](Vec v) { return cpu::silu(v); });
    }
  });
}

}  // namespace weft::cpu
