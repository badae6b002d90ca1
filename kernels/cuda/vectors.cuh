#pragma once
// What the memory-bound kernels share: 16-byte loads and stores of float and bfloat16, sums over a
// warp and a block, and the choice of a kernel by element type.

#include <cstdint>

#include <cuda_bf16.h>

#include "weft/base/error.h"
#include "weft/device/tensor.h"

namespace weft::cuda {

using bf16 = __nv_bfloat16;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(bf16 x) { return __bfloat162float(x); }
template <class T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline bf16 from_float<bf16>(float x) {
  return __float2bfloat16_rn(x);
}

/// N consecutive elements; load() and store() move them in one access (alignment: sizeof).
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T x[N];
};

/// Loads N elements as float.
template <int N, class T>
__device__ void load(const T* from, float (&to)[N]) {
  const Pack<T, N> p = *reinterpret_cast<const Pack<T, N>*>(from);
#pragma unroll
  for (int i = 0; i < N; ++i) to[i] = to_float(p.x[i]);
}
template <int N, class T>
__device__ void store(T* to, const float (&from)[N]) {
  Pack<T, N> p;
#pragma unroll
  for (int i = 0; i < N; ++i) p.x[i] = from_float<T>(from[i]);
  *reinterpret_cast<Pack<T, N>*>(to) = p;
}

__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int half = 16; half > 0; half /= 2) x += __shfl_xor_sync(0xFFFFFFFFU, x, half);
  return x;
}
__device__ inline float warp_max(float x) {
#pragma unroll
  for (int half = 16; half > 0; half /= 2) x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFFU, x, half));
  return x;
}

/// A tensor's elements as T; the type must match.
template <class T>
T* elements(const Tensor& t) {
  constexpr DType type = sizeof(T) == 2 ? DType::bf16 : DType::f32;
  WEFT_ASSERT(t.dtype() == type, "tensor holds {}", dtype_name(t.dtype()));
  return reinterpret_cast<T*>(t.raw());
}

/// Calls f(float{}) or f(bf16{}) by the tensor's type.
template <class F>
void by_type(DType type, F f) {
  WEFT_ASSERT(type == DType::f32 || type == DType::bf16, "CUDA operations work on f32 and bf16");
  if (type == DType::f32) {
    f(float{});
  } else {
    f(bf16{});
  }
}

inline unsigned blocks_for(std::int64_t count, std::int64_t per_block) {
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}

}  // namespace weft::cuda
