// Operations on each element by itself.
#include <atomic>
#include <bit>
#include <cmath>

#include "cpu_ops.h"
#include "parallel.h"
#include "simd.h"

namespace weft::cpu {
namespace {

void check_equal(const Tensor& a, const Tensor& b, const char* op) {
  WEFT_ASSERT(a.shape() == b.shape(), "{}: {} and {}", op, a.shape().str(), b.shape().str());
}

}  // namespace

void CpuOps::gated_residual(Tensor x, const Tensor& y, const TokenRows& gate) {
  check_equal(x, y, "gated_residual");
  const std::int64_t width = x.dim(1);
  WEFT_ASSERT(gate.rows.dim(1) == width, "gated_residual: x {}, gate {}", x.shape().str(),
              gate.rows.shape().str());
  for_ranges(threads_, x.dim(0), width * 12, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float* to = x.data<float>() + i * width;
      const float* from = y.data<float>() + i * width;
      const std::int64_t row = i < gate.split ? 0 : gate.rows.dim(0) - 1;
      const float* g = gate.rows.data<float>() + row * width;
      for (std::int64_t j = 0; j < width; ++j) to[j] += from[j] * g[j];
    }
  });
}

void CpuOps::add(Tensor x, const Tensor& y) {
  check_equal(x, y, "add");
  float* to = x.data<float>();
  const float* from = y.data<float>();
  for_ranges(threads_, x.numel(), 12, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
  });
}

void CpuOps::silu(const Tensor& x, Tensor y) {
  check_equal(x, y, "silu");
  for_ranges(threads_, x.numel(), 8, [&](std::int64_t begin, std::int64_t end) {
    map(x.data<float>() + begin, y.data<float>() + begin, end - begin,
        [](Vec v) { return cpu::silu(v); });
  });
}

void CpuOps::gated_gelu(const Tensor& a, const Tensor& b, Tensor y) {
  check_equal(a, b, "gated_gelu");
  check_equal(a, y, "gated_gelu");
  const float* gate = b.data<float>();
  float* to = y.data<float>();
  constexpr std::int64_t piece = 1024;  // through a buffer, since y may be a or b
  for_ranges(threads_, a.numel(), 12, [&](std::int64_t begin, std::int64_t end) {
    float activated[piece];
    for (std::int64_t i = begin; i < end; i += piece) {
      const std::int64_t count = std::min(piece, end - i);
      map(a.data<float>() + i, activated, count, [](Vec v) { return gelu_tanh(v); });
      for (std::int64_t j = 0; j < count; ++j) to[i + j] = activated[j] * gate[i + j];
    }
  });
}

void CpuOps::combine(std::span<const Term> terms, Tensor out) {
  WEFT_ASSERT(!terms.empty() && terms.size() <= 6, "combine: {} terms", terms.size());
  for (const Term& term : terms) check_equal(term.x, out, "combine");
  float* to = out.data<float>();
  constexpr std::int64_t piece = 1024;  // summed in a buffer, since `out` may be any of the terms
  for_ranges(threads_, out.numel(), 4 * static_cast<std::int64_t>(terms.size() + 1),
             [&](std::int64_t begin, std::int64_t end) {
               float sum[piece];
               for (std::int64_t i = begin; i < end; i += piece) {
                 const std::int64_t count = std::min(piece, end - i);
                 for (const Term& term : terms) {
                   const float* x = term.x.data<float>() + i;
                   if (&term == &terms.front()) {
                     for (std::int64_t j = 0; j < count; ++j) sum[j] = term.factor * x[j];
                   } else {
                     for (std::int64_t j = 0; j < count; ++j) sum[j] += term.factor * x[j];
                   }
                 }
                 for (std::int64_t j = 0; j < count; ++j) to[i + j] = sum[j];
               }
             });
}

bool CpuOps::all_finite(const Tensor& x) {
  constexpr std::uint32_t exponent = 0x7F800000;  // all ones: infinite or not a number
  const float* from = x.data<float>();
  std::atomic<bool> finite{true};
  for_ranges(threads_, x.numel(), 4, [&](std::int64_t begin, std::int64_t end) {
    bool all = true;
    for (std::int64_t i = begin; i < end; ++i) {
      all &= (std::bit_cast<std::uint32_t>(from[i]) & exponent) != exponent;
    }
    if (!all) finite = false;
  });
  return finite;
}

void CpuOps::to_u8(const Tensor& x, Tensor y) {
  check_equal(x, y, "to_u8");
  const float* from = x.data<float>();
  std::uint8_t* to = y.data<std::uint8_t>();
  for_ranges(threads_, x.numel(), 5, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      // A NaN fails the first comparison and becomes -1, hence black.
      const float above = from[i] > -1.F ? from[i] : -1.F;
      const float clamped = above < 1.F ? above : 1.F;
      // In [0, 255], adding 2^23 leaves the integer nearest (half to even) in the low bits.
      const float rounded = 255.F * (clamped * 0.5F + 0.5F) + 8388608.F;
      to[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(rounded - 8388608.F));
    }
  });
}

}  // namespace weft::cpu
