#pragma once
// The softmax of the Hopper attention kernel, in the registers of a warpgroup's accumulators.
//
// A thread has parts of two rows: acc[4 j + 2 r] and acc[4 j + 2 r + 1] belong to row r. The four
// threads of a row keep the same maximum, and each the sum of its own columns.

#include <cstdint>
#include <limits>

#include <cuda_bf16.h>

namespace weft::cuda::hopper_attention {

// How far a row's maximum may rise, as a power of two of its weights, before sums are rescaled:
// weights of up to 2^8 lose nothing in bfloat16 or float32, and rescaling becomes rare.
constexpr float lazy_rise = 8;
constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

struct Rows {
  float max[2];  // of q.k, not scaled; behind by less than lazy_rise when lazy
  float sum[2];
};

__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFFU, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xFFFFFFFFU, x, 2));
}
__device__ __forceinline__ float row_sum(float x) {
  x += __shfl_xor_sync(0xFFFFFFFFU, x, 1);
  return x + __shfl_xor_sync(0xFFFFFFFFU, x, 2);
}

/// For the tile that holds the last key, its `valid`-th: adds to its products, hides those behind.
template <int N>
__device__ __forceinline__ void mask(float (&s)[N], int valid, float last_key) {
  const int last = valid - 1 - 2 * static_cast<int>(threadIdx.x % 4);
#pragma unroll
  for (int i = 0; i < N; ++i) {
    const int column = i / 4 * 8 + i % 2;
    const float seen = column == last ? s[i] + last_key : s[i];
    s[i] = column > last ? minus_infinity : seen;
  }
}

/// Whether a row with this maximum must be rescaled for a product of `seen`.
__device__ __forceinline__ bool rises(float max, float seen, float to_log2) {
  return (seen - max) * to_log2 > lazy_rise;
}

/// Lets the rows' maxima follow the tile's products. True (in the whole warp) when what was summed
/// so far counts `factor` times: rows.sum was scaled, the caller scales the rest. What happens to a
/// row depends on that row alone.
template <class T, int N>
__device__ __forceinline__ bool raise_max(const float (&s)[N], float to_log2, Rows& rows,
                                          float (&factor)[2]) {
  float top[2][2];  // two chains a row
#pragma unroll
  for (int i = 0; i < 4; ++i) top[i / 2][i % 2] = s[i];
#pragma unroll
  for (int i = 4; i < N; ++i) top[i / 2 % 2][i % 2] = fmaxf(top[i / 2 % 2][i % 2], s[i]);
  const float highest[2] = {fmaxf(top[0][0], top[0][1]), fmaxf(top[1][0], top[1][1])};
  if constexpr (T::lazy) {
    const bool either =
        rises(rows.max[0], highest[0], to_log2) || rises(rows.max[1], highest[1], to_log2);
    if (!__any_sync(0xFFFFFFFFU, either)) return false;
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float seen = row_max(highest[r]);
    const bool follow = T::lazy ? rises(rows.max[r], seen, to_log2) : seen > rows.max[r];
    const float max = follow ? seen : rows.max[r];
    factor[r] = exp2_fast((rows.max[r] - max) * to_log2);
    rows.max[r] = max;
    rows.sum[r] *= factor[r];
  }
  return true;
}

/// Products to weights 2^(...), of a row's maximum 2^`top`.
template <int top, int N>
__device__ __forceinline__ void to_weights(float (&s)[N], float to_log2, const Rows& rows) {
  const float shift[2] = {top - rows.max[0] * to_log2, top - rows.max[1] * to_log2};
#pragma unroll
  for (int i = 0; i < N; ++i) s[i] = exp2_fast(fmaf(s[i], to_log2, shift[i / 2 % 2]));
}
/// Products to weights 2^(...), of a row's maximum 1, which are added to the rows' sums.
template <int N>
__device__ __forceinline__ void weigh(float (&s)[N], float to_log2, Rows& rows) {
  const float shift[2] = {-rows.max[0] * to_log2, -rows.max[1] * to_log2};
  float sum[2][2] = {};
#pragma unroll
  for (int i = 0; i < N; ++i) {
    const int r = i / 2 % 2;
    s[i] = exp2_fast(fmaf(s[i], to_log2, shift[r]));
    sum[r][i % 2] += s[i];
  }
  rows.sum[0] += sum[0][0] + sum[0][1];
  rows.sum[1] += sum[1][0] + sum[1][1];
}

__device__ __forceinline__ std::uint32_t pack(float even, float odd) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(even, odd);
  return reinterpret_cast<const std::uint32_t&>(both);
}
/// An accumulator as the left operand of the next product: sixteen columns are four registers.
template <int N>
__device__ __forceinline__ void to_operand(const float (&s)[N], std::uint32_t (&p)[N / 2]) {
#pragma unroll
  for (int i = 0; i < N / 2; ++i) p[i] = pack(s[2 * i], s[2 * i + 1]);
}
__device__ __forceinline__ std::uint32_t pack_e4m3(float a, float b, float c, float d) {
  std::uint32_t four;
  asm("{\n"
      ".reg .b16 low, high;\n"
      "cvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\n"
      "cvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
      "mov.b32 %0, {low, high};\n"
      "}\n"
      : "=r"(four)
      : "f"(a), "f"(b), "f"(c), "f"(d));
  return four;
}
/// The same in e4m3: 32 columns are four registers. Column 16 h + 8 i + 2 t + j of the 32 becomes
/// number 16 h + 4 t + 2 i + j of the summed index, so that it stays in its thread; transposed V
/// has its keys in that order.
template <int N>
__device__ __forceinline__ void to_operand_e4m3(const float (&s)[N], std::uint32_t (&p)[N / 4]) {
#pragma unroll
  for (int i = 0; i < N / 4; ++i) {
    const float* from = s + i / 4 * 16 + i / 2 % 2 * 8 + i % 2 * 2;
    p[i] = pack_e4m3(from[0], from[1], from[4], from[5]);
  }
}
template <int N>
__device__ __forceinline__ void scale_rows(float (&o)[N], const float (&factor)[2]) {
#pragma unroll
  for (int i = 0; i < N; ++i) o[i] *= factor[i / 2 % 2];
}

}  // namespace weft::cuda::hopper_attention
