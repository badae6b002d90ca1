#pragma once
// The arithmetic of rows in e4m3, the same wherever a row is made: two ways to it give equal bits.

#include <cuda_fp8.h>

#include "vectors.cuh"

namespace weft::cuda {

constexpr float largest_e4m3 = 448;

/// What a row whose largest magnitude is `most` is multiplied by to fill the range of e4m3; its
/// elements times row_scale() are the row again. An infinite element makes the row NaN.
__device__ inline float row_factor(float most) {
  // A row below this is zeros to any product; dividing by its largest element would overflow.
  constexpr float smallest_row = 1e-30F;
  return most < smallest_row ? 0.F : largest_e4m3 / most;
}
__device__ inline float row_scale(float most) { return most / largest_e4m3; }

/// In pairs: their conversion is several times faster than that of single elements.
template <int N>
__device__ Pack<bf16, N> rounded_pack(const float (&x)[N]) {
  Pack<bf16, N> p;
#pragma unroll
  for (int i = 0; i < N; i += 2) {
    const __nv_bfloat162 two = __floats2bfloat162_rn(x[i], x[i + 1]);
    p.x[i] = two.x;
    p.x[i + 1] = two.y;
  }
  return p;
}

/// The largest magnitude of the pack and `most`; elements that are NaN do not count.
template <int N>
__device__ float largest(const Pack<bf16, N>& x, float most) {
#pragma unroll
  for (int i = 0; i < N; ++i) most = fmaxf(most, fabsf(to_float(x.x[i])));
  return most;
}

/// Writes x * factor in one access; a NaN stays one.
template <int N>
__device__ void store_e4m3(std::uint8_t* to, const float (&x)[N], float factor) {
  Pack<__nv_fp8x2_storage_t, N / 2> bytes;
#pragma unroll
  for (int i = 0; i < N / 2; ++i) {
    const float2 two{x[2 * i] * factor, x[2 * i + 1] * factor};
    bytes.x[i] = __nv_cvt_float2_to_fp8x2(two, __NV_SATFINITE, __NV_E4M3);
  }
  *reinterpret_cast<Pack<__nv_fp8x2_storage_t, N / 2>*>(to) = bytes;
}
template <int N>
__device__ void store_e4m3(std::uint8_t* to, const Pack<bf16, N>& x, float factor) {
  float wide[N];
#pragma unroll
  for (int i = 0; i < N; ++i) wide[i] = to_float(x.x[i]);
  store_e4m3(to, wide, factor);
}

}  // namespace weft::cuda
