#include "check.h"
#include "conv_epilogue.h"
#include "conv_shape.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

constexpr int threads = 256;
constexpr int rows_per_block = 64;

// N columns of a row per thread and turn; a block adds to rows_per_block rows.
template <int N, class T, class B>
__global__ void add_to_rows(T* y, const B* b, const T* residual, std::int64_t rows, int cols) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * rows_per_block;
  const int count = static_cast<int>(min(static_cast<std::int64_t>(rows_per_block), rows - first));
  const int pieces_per_row = cols / N;
  for (int i = static_cast<int>(threadIdx.x); i < count * pieces_per_row; i += threads) {
    const int col = i % pieces_per_row * N;
    const std::int64_t at = (first + i / pieces_per_row) * cols + col;
    float sum[N];
    load<N>(y + at, sum);
    float term[N];
    if (b != nullptr) {
      load<N>(b + col, term);
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += term[j];
    }
    if (residual != nullptr) {
      load<N>(residual + at, term);
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += term[j];
    }
    store<N>(y + at, sum);
  }
}

bool in_fours(const Tensor& t) { return !t.defined() || is_aligned(t, 4 * dtype_size(t.dtype())); }

}  // namespace

void add_bias_and_residual(const Tensor& y, const Tensor& b, const Tensor& residual) {
  if (!b.defined() && !residual.defined()) return;
  const int cols = to_int(y.dim(-1));
  const std::int64_t rows = y.numel() / cols;
  const bool wide = cols % 4 == 0 && in_fours(y) && in_fours(b) && in_fours(residual);
  by_type(y.dtype(), [&](auto y_type) {
    by_type(b.defined() ? b.dtype() : y.dtype(), [&](auto b_type) {
      using T = decltype(y_type);
      using B = decltype(b_type);
      const auto kernel = wide ? add_to_rows<4, T, B> : add_to_rows<1, T, B>;
      kernel<<<blocks_for(rows, rows_per_block), threads, 0, cuda_stream()>>>(
          elements<T>(y), b.defined() ? elements<B>(b) : nullptr,
          residual.defined() ? elements<T>(residual) : nullptr, rows, cols);
    });
  });
  check_launch("sum of bias and residual");
}

}  // namespace weft::cuda
