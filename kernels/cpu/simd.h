#pragma once
// One vector type for the machine the build targets. The only preprocessor conditionals of the CPU
// kernels live here. Every function below gives the same bits at every width, so results do not
// depend on which of the three branches was compiled.

#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace weft::cpu {

#if defined(__AVX512F__)
inline constexpr int lanes = 16;
inline constexpr int tile_rows =
    8;  // 8 x 3 accumulators, 3 weights, 1 broadcast: 28 of 32 registers
inline constexpr const char* simd_name = "avx512";
#elif defined(__AVX2__) && defined(__FMA__)
inline constexpr int lanes = 8;
inline constexpr int tile_rows = 4;  // 4 x 3 accumulators, 3 weights, 1 broadcast: all 16 registers
inline constexpr const char* simd_name = "avx2";
#else
inline constexpr int lanes = 4;
inline constexpr int tile_rows =
    6;  // 6 x 3 accumulators, 3 weights, 1 broadcast: 22 of 32 registers
inline constexpr const char* simd_name = "portable vectors";
#endif

// Arithmetic and comparisons are the compiler's vector operators.
using Vec = float __attribute__((vector_size(lanes * sizeof(float))));
using VecInt = std::int32_t __attribute__((vector_size(lanes * sizeof(float))));
using UnalignedVec =
    float __attribute__((vector_size(lanes * sizeof(float)), aligned(4), may_alias));

inline Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
inline Vec broadcast(float x) { return x - Vec{}; }  // x - 0 keeps every x, also -0

/// a b + c with one rounding.
inline Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  Vec r;
  for (int i = 0; i < lanes; ++i) r[i] = std::fma(a[i], b[i], c[i]);
  return r;
#endif
}

inline Vec max(Vec a, Vec b) { return a > b ? a : b; }

/// e^x, relative error below 1.2e-7 for x in [-87.3, 88.3]; 0 below, e^88.3 above; NaN stays NaN.
inline Vec exp(Vec x) {
  const Vec low = broadcast(-87.3F);
  const Vec high = broadcast(88.3F);
  const Vec input = x;
  x = x < low ? low : x;
  x = x > high ? high : x;
  // x = n ln 2 + r, |r| <= ln(2)/2. Adding 1.5 2^23 rounds to an integer, kept in the low bits.
  const Vec magic = broadcast(12582912.F);
  const Vec shifted = fma(x, broadcast(1.44269504F), magic);
  const Vec n = shifted - magic;
  Vec r = fma(n, broadcast(-0.693359375F), x);
  r = fma(n, broadcast(2.12194440e-4F), r);
  Vec p = broadcast(1.9875691500e-4F);
  p = fma(p, r, broadcast(1.3981999507e-3F));
  p = fma(p, r, broadcast(8.3334519073e-3F));
  p = fma(p, r, broadcast(4.1665795894e-2F));
  p = fma(p, r, broadcast(1.6666665459e-1F));
  p = fma(p, r, broadcast(5.0000001201e-1F));
  p = fma(p, r * r, r) + 1.F;
  // Multiply by 2^n: the integer n sits in the low bits of `shifted`.
  const VecInt exponent = (std::bit_cast<VecInt>(shifted) - std::bit_cast<VecInt>(magic)) << 23;
  const Vec result = std::bit_cast<Vec>(std::bit_cast<VecInt>(p) + exponent);
  const Vec zero{};
  return input < low ? zero : (input != input ? input : result);
}

inline Vec silu(Vec x) { return x / (1.F + exp(-x)); }

/// 0.5 u (1 + tanh(z)) = u / (1 + e^(-2z)), z = sqrt(2/pi) (u + 0.044715 u^3).
inline Vec gelu_tanh(Vec u) {
  const Vec z2 = broadcast(1.5957691216F) * fma(broadcast(0.044715F) * (u * u), u, u);
  return u / (1.F + exp(-z2));
}

/// y[i] = f(x[i]) with f on vectors; a tail goes through a padded copy, so position never shows.
template <class F>
void map(const float* x, float* y, std::int64_t count, F f) {
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(y + i, f(load(x + i)));
  if (i == count) return;
  float padded[lanes] = {};
  for (std::int64_t j = i; j < count; ++j) padded[j - i] = x[j];
  store(padded, f(load(padded)));
  for (std::int64_t j = i; j < count; ++j) y[j] = padded[j - i];
}

}  // namespace weft::cpu
