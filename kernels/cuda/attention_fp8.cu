#include <algorithm>

#include <cuda_fp8.h>

#include "attention_fp8.h"
#include "check.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

constexpr int vec = 16;  // e4m3 bytes of one 16-byte access; two accesses of bf16
constexpr int threads = 256;
constexpr float largest = 448;  // of e4m3
// Weights are at most 1; a power of two scales them exactly and leaves room below 448.
constexpr float weights_scale = 256;

struct Inputs {
  const bf16* x[3];  // q, k, v
};
struct Outputs {
  std::uint8_t* x[3];
};

/// The larger of two pairs of absolute bf16 values as bits, which order like the values; NaN is
/// above all.
__device__ unsigned larger(unsigned top, unsigned pair) {
  return __vmaxu2(top, pair & 0x7FFF7FFFU);
}

// amax[t]: bits of the largest |x| of tensor t = blockIdx.y as float32; zeros before.
__global__ void find_largest(const __grid_constant__ Inputs in, std::int64_t count,
                             unsigned* amax) {
  const bf16* x = in.x[blockIdx.y];
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads * vec;
  unsigned top = 0;
  for (std::int64_t i = (blockIdx.x * static_cast<std::int64_t>(threads) + threadIdx.x) * vec;
       i < count; i += step) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint4 p = *reinterpret_cast<const uint4*>(x + i + half * (vec / 2));
      top = larger(larger(larger(larger(top, p.x), p.y), p.z), p.w);
    }
  }
  top = max(top >> 16, top & 0xFFFFU);
  top = __reduce_max_sync(0xFFFFFFFFU, top);
  if (threadIdx.x % 32 == 0) atomicMax(amax + blockIdx.y, top << 16);
}

// One thread: the table of scalars from the largest values.
__global__ void fill_scalars(const float* amax, int tokens, float* table, int line) {
  const auto at = [=](Fp8Scalar which) -> float& { return table[static_cast<int>(which) * line]; };
  // A tensor of zeros may have any scale.
  const auto descale = [=](int t) { return amax[t] == 0 ? 1.F : amax[t] / largest; };
  at(Fp8Scalar::descale_q) = descale(0);
  at(Fp8Scalar::descale_k) = descale(1);
  at(Fp8Scalar::descale_v) = descale(2);
  at(Fp8Scalar::scale_weights) = weights_scale;
  at(Fp8Scalar::descale_weights) = 1 / weights_scale;
  at(Fp8Scalar::scale_out) = 1 / descale(2);
  at(Fp8Scalar::amax_weights) = 0;
  at(Fp8Scalar::amax_out) = 0;
  at(Fp8Scalar::tokens) = __int_as_float(tokens);
}

// Tensor t = blockIdx.y; elements [count, padded) become 0. Both are multiples of vec.
__global__ void to_e4m3(const __grid_constant__ Inputs in, std::int64_t count, std::int64_t padded,
                        const float* table, int line, const __grid_constant__ Outputs out) {
  const std::int64_t i = (blockIdx.x * static_cast<std::int64_t>(threads) + threadIdx.x) * vec;
  if (i >= padded) return;
  const int t = static_cast<int>(blockIdx.y);
  static_assert(static_cast<int>(Fp8Scalar::descale_q) == 0 &&
                static_cast<int>(Fp8Scalar::descale_v) == 2);
  const float scale = 1 / table[t * line];
  Pack<std::uint16_t, vec / 2> pairs{};
  if (i < count) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float x[vec / 2];
      load(in.x[t] + i + half * (vec / 2), x);
#pragma unroll
      for (int p = 0; p < vec / 4; ++p) {
        pairs.x[half * (vec / 4) + p] = __nv_cvt_float2_to_fp8x2(
            make_float2(x[2 * p] * scale, x[2 * p + 1] * scale), __NV_SATFINITE, __NV_E4M3);
      }
    }
  }
  *reinterpret_cast<Pack<std::uint16_t, vec / 2>*>(out.x[t] + i) = pairs;
}

__global__ void from_e4m3(const std::uint8_t* in, std::int64_t count, const float* descale,
                          bf16* out) {
  const std::int64_t i = (blockIdx.x * static_cast<std::int64_t>(threads) + threadIdx.x) * vec;
  if (i >= count) return;
  const float factor = *descale;
  const auto pairs = *reinterpret_cast<const Pack<std::uint16_t, vec / 2>*>(in + i);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float x[vec / 2];
#pragma unroll
    for (int p = 0; p < vec / 4; ++p) {
      const __half2 two(__nv_cvt_fp8x2_to_halfraw2(pairs.x[half * (vec / 4) + p], __NV_E4M3));
      x[2 * p] = __low2float(two) * factor;
      x[2 * p + 1] = __high2float(two) * factor;
    }
    store(out + i + half * (vec / 2), x);
  }
}

}  // namespace

Fp8Operands quantise(const Tensor& q, const Tensor& k, const Tensor& v) {
  const std::int64_t tokens = q.dim(0);
  const Shape padded = q.shape().with(0, Fp8Operands::padded(tokens));
  const std::int64_t count = q.numel();
  WEFT_ASSERT(q.dim(1) * q.dim(2) % vec == 0 && k.shape() == q.shape() && v.shape() == q.shape(),
              "fp8 attention: q {}, k {}", q.shape().str(), k.shape().str());
  const auto scratch = [](const Shape& shape, DType type) {
    return Tensor::empty(shape, type, DeviceKind::cuda);
  };
  constexpr int line = 64;
  Fp8Operands x{tokens, scratch(padded, DType::u8), scratch(padded, DType::u8),
                scratch(padded, DType::u8),
                scratch({static_cast<std::int64_t>(Fp8Scalar::count), line}, DType::f32)};
  const Inputs in{{elements<bf16>(q), elements<bf16>(k), elements<bf16>(v)}};
  const Outputs out{{x.q.data<std::uint8_t>(), x.k.data<std::uint8_t>(), x.v.data<std::uint8_t>()}};

  const Tensor amax = scratch({3}, DType::f32);
  check(cudaMemsetAsync(amax.raw(), 0, amax.bytes(), cuda_stream()), "cudaMemsetAsync");
  // A few blocks for each multiprocessor; each thread ends with one atomic per warp.
  const unsigned readers = std::min(blocks_for(count, threads * vec), 1024U);
  find_largest<<<dim3(readers, 3), threads, 0, cuda_stream()>>>(
      in, count, reinterpret_cast<unsigned*>(amax.raw()));
  check_launch("find_largest");
  fill_scalars<<<1, 1, 0, cuda_stream()>>>(amax.data<float>(), static_cast<int>(tokens),
                                           x.scalars.data<float>(), line);
  check_launch("fill_scalars");
  to_e4m3<<<dim3(blocks_for(padded.numel(), threads * vec), 3), threads, 0, cuda_stream()>>>(
      in, count, padded.numel(), x.scalars.data<float>(), line, out);
  check_launch("to_e4m3");
  return x;
}

void dequantise(const Tensor& stored, const Fp8Operands& operands, const Tensor& out) {
  const std::int64_t count = out.numel();
  from_e4m3<<<blocks_for(count, threads * vec), threads, 0, cuda_stream()>>>(
      stored.data<std::uint8_t>(), count, operands.scalar(Fp8Scalar::descale_v),
      elements<bf16>(out));
  check_launch("from_e4m3");
}

}  // namespace weft::cuda
