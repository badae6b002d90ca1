#include <cuda_fp8.h>

#include "check.h"
#include "quantize.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

constexpr int threads = 256;
constexpr int pack = 8;  // elements per access
constexpr int most_packs = 8;
constexpr std::int64_t widest = most_packs * threads * pack;
constexpr float largest_e4m3 = 448;
// A row below this is zeros to any product; dividing by its largest element would overflow.
constexpr float smallest_row = 1e-30F;

__device__ float block_max(float x) {
  __shared__ float parts[threads / 32];
  x = warp_max(x);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  float most = parts[0];
#pragma unroll
  for (int i = 1; i < threads / 32; ++i) most = fmaxf(most, parts[i]);
  return most;
}

// A block per row, which it reads once: P packs per thread stay in registers between finding the
// largest element and dividing by it. An infinite element makes the row NaN, a NaN stays one.
template <int P>
__global__ void __launch_bounds__(threads)
    quantize_kernel(const bf16* x, int cols, std::uint8_t* values, float* scale) {
  const std::int64_t row = blockIdx.x;
  x += row * cols;
  values += row * cols;

  Pack<bf16, pack> held[P];
  float most = 0;
#pragma unroll
  for (int p = 0; p < P; ++p) {
    const int k = (p * threads + static_cast<int>(threadIdx.x)) * pack;
    if (k >= cols) continue;
    held[p] = *reinterpret_cast<const Pack<bf16, pack>*>(x + k);
#pragma unroll
    for (int i = 0; i < pack; ++i) most = fmaxf(most, fabsf(to_float(held[p].x[i])));
  }
  most = block_max(most);
  const float inverse = most < smallest_row ? 0.F : largest_e4m3 / most;
  if (threadIdx.x == 0) scale[row] = most / largest_e4m3;

#pragma unroll
  for (int p = 0; p < P; ++p) {
    const int k = (p * threads + static_cast<int>(threadIdx.x)) * pack;
    if (k >= cols) continue;
    Pack<__nv_fp8x2_storage_t, pack / 2> bytes;
#pragma unroll
    for (int i = 0; i < pack / 2; ++i) {
      const float2 two{to_float(held[p].x[2 * i]) * inverse,
                       to_float(held[p].x[2 * i + 1]) * inverse};
      bytes.x[i] = __nv_cvt_float2_to_fp8x2(two, __NV_SATFINITE, __NV_E4M3);
    }
    *reinterpret_cast<Pack<__nv_fp8x2_storage_t, pack / 2>*>(values + k) = bytes;
  }
}

template <int P>
void launch(const Tensor& x, const Quantized& to) {
  const auto rows = static_cast<unsigned>(x.dim(0));
  quantize_kernel<P><<<rows, threads, 0, cuda_stream()>>>(
      elements<bf16>(x), static_cast<int>(x.dim(1)), to.values.data<std::uint8_t>(),
      elements<float>(to.scale));
  check_launch("quantize_kernel");
}

}  // namespace

bool quantizable(const Tensor& x) {
  return x.dtype() == DType::bf16 && x.dim(1) % 16 == 0 && x.dim(1) <= widest &&
         reinterpret_cast<std::uintptr_t>(x.raw()) % 16 == 0;
}

Quantized quantize_rows(const Tensor& x) {
  WEFT_ASSERT(quantizable(x) && x.numel() > 0, "quantize_rows of {} {}", dtype_name(x.dtype()),
              x.shape().str());
  const Quantized to{Tensor::empty(x.shape(), DType::u8, DeviceKind::cuda),
                     Tensor::empty({x.dim(0)}, DType::f32, DeviceKind::cuda)};
  const std::int64_t packs = (x.dim(1) + threads * pack - 1) / (threads * pack);
  if (packs <= 1) {
    launch<1>(x, to);
  } else if (packs <= 2) {
    launch<2>(x, to);
  } else if (packs <= 4) {
    launch<4>(x, to);
  } else {
    launch<most_packs>(x, to);
  }
  return to;
}

void require_fp8(int device_index) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, device_index), "cudaGetDeviceProperties");
  if (p.major > 8 || (p.major == 8 && p.minor >= 9)) return;
  fail_input(
      "fp8 needs a GPU of compute capability 8.9 or newer; device {} ({}) is of {}.{}: "
      "choose bf16",
      device_index, p.name, p.major, p.minor);
}

}  // namespace weft::cuda
