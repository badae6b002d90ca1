#include "check.h"
#include "quantize.cuh"
#include "quantize.h"
#include "stream.h"

namespace weft::cuda {
namespace {

constexpr int threads = 256;
constexpr int pack = 8;  // elements per access
constexpr int most_packs = 8;
constexpr std::int64_t widest = most_packs * threads * pack;

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
// largest element and dividing by it.
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
    most = largest(held[p], most);
  }
  most = block_max(most);
  const float factor = row_factor(most);
  if (threadIdx.x == 0) scale[row] = row_scale(most);

#pragma unroll
  for (int p = 0; p < P; ++p) {
    const int k = (p * threads + static_cast<int>(threadIdx.x)) * pack;
    if (k < cols) store_e4m3(values + k, held[p], factor);
  }
}

template <int P>
void launch(const Tensor& x, const Quantized& to) {
  const auto rows = static_cast<unsigned>(x.dim(0));
  quantize_kernel<P><<<rows, threads, 0, cuda_stream()>>>(
      elements<bf16>(x), static_cast<int>(x.dim(1)),
      reinterpret_cast<std::uint8_t*>(to.values.raw()), elements<float>(to.scale));
  check_launch("quantize_kernel");
}

// Where the scales of a tensor of e4m3 rows begin: behind whole tiles of rows, which attention in
// e4m3 fills.
std::int64_t scale_offset(std::int64_t rows, std::int64_t cols) { return whole_tiles(rows) * cols; }

}  // namespace

Tensor quantized_rows(std::int64_t rows, std::int64_t cols) {
  WEFT_ASSERT(cols % 16 == 0 && cols <= widest, "e4m3 rows of {}", cols);
  const std::int64_t bytes =
      scale_offset(rows, cols) + rows * static_cast<std::int64_t>(sizeof(float));
  return Tensor::empty({bytes}, DType::f8e4m3, DeviceKind::cuda)
      .slice(0, rows * cols)
      .reshape({rows, cols});
}

Quantized quantized_view(const Tensor& x) {
  const std::int64_t rows = x.dim(0);
  const std::int64_t scales = scale_offset(rows, x.dim(1));
  const auto bytes =
      static_cast<std::size_t>(scales) + static_cast<std::size_t>(rows) * sizeof(float);
  WEFT_ASSERT(x.dtype() == DType::f8e4m3 && x.shape().rank() == 2 &&
                  x.raw() == x.storage()->data() && x.storage()->bytes() == bytes,
              "{} {} is no whole tensor of e4m3 rows", dtype_name(x.dtype()), x.shape().str());
  return {x, Tensor::view(x.raw() + scales, {rows}, DType::f32, DeviceKind::cuda, x.storage())};
}

bool quantizable(const Tensor& x) {
  return x.dtype() == DType::bf16 && x.dim(1) % 16 == 0 && x.dim(1) <= widest &&
         reinterpret_cast<std::uintptr_t>(x.raw()) % 16 == 0;
}

Quantized quantize_rows(const Tensor& x) {
  const Quantized to = quantized_view(quantized_rows(x.dim(0), x.dim(1)));
  quantize_rows(x, to);
  return to;
}

void quantize_rows(const Tensor& x, const Quantized& to) {
  WEFT_ASSERT(quantizable(x) && x.numel() > 0 && to.values.shape() == x.shape(),
              "quantize_rows of {} {}", dtype_name(x.dtype()), x.shape().str());
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
