#include <algorithm>

#include "activations.cuh"
#include "check.h"
#include "few_rows.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

constexpr int threads = 128;
constexpr int warps = threads / 32;
constexpr int columns = 4;  // per block: each piece of x in registers meets this many weights

// Bias and result are touched once per output: their type is looked at there, not compiled in.
struct Line {
  void* data;
  bool wide;  // float32, else bfloat16
  __device__ float get(std::int64_t i) const {
    return wide ? static_cast<const float*>(data)[i] : to_float(static_cast<const bf16*>(data)[i]);
  }
  __device__ void set(std::int64_t i, float value) const {
    if (wide) {
      static_cast<float*>(data)[i] = value;
    } else {
      static_cast<bf16*>(data)[i] = from_float<bf16>(value);
    }
  }
};

template <class X, class W>
struct Args {
  const X* x;  // [rows, depth]
  const W* w;  // [outputs, depth]
  Line bias;   // data may be nullptr
  Line y;      // [rows, outputs]
  std::int64_t rows, outputs;
  int depth;
  unsigned row_groups;  // groups of the rows that one block computes
  Activation act;
};

// N consecutive elements as float, in accesses of at most 16 bytes.
template <int N, class T>
__device__ void load_wide(const T* from, float (&to)[N]) {
  constexpr int most = static_cast<int>(16 / sizeof(T));
  constexpr int step = N < most ? N : most;
#pragma unroll
  for (int i = 0; i < N; i += step) {
    const auto pack = *reinterpret_cast<const Pack<T, step>*>(from + i);
#pragma unroll
    for (int j = 0; j < step; ++j) to[i + j] = to_float(pack.x[j]);
  }
}

// A block computes R rows of `columns` outputs; its threads share the depth, N elements each in
// turn. Rows and outputs past the end repeat the last one and are not stored.
template <int R, int N, class X, class W>
__global__ void __launch_bounds__(threads) few_rows_kernel(Args<X, W> args) {
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x % args.row_groups) * R;
  const std::int64_t first_col = static_cast<std::int64_t>(blockIdx.x / args.row_groups) * columns;
  const X* x = args.x + first_row * args.depth;
  const W* w = args.w + first_col * args.depth;
  const int last_row = static_cast<int>(min(args.rows - first_row, std::int64_t{R})) - 1;
  const int last_col = static_cast<int>(min(args.outputs - first_col, std::int64_t{columns})) - 1;

  float sum[R * columns] = {};
  for (int k = static_cast<int>(threadIdx.x) * N; k < args.depth; k += threads * N) {
    float weights[columns][N];
#pragma unroll
    for (int c = 0; c < columns; ++c) {
      load_wide(w + static_cast<std::int64_t>(min(c, last_col)) * args.depth + k, weights[c]);
    }
#pragma unroll
    for (int r = 0; r < R; ++r) {
      float row[N];
      load_wide(x + static_cast<std::int64_t>(min(r, last_row)) * args.depth + k, row);
#pragma unroll
      for (int c = 0; c < columns; ++c) {
#pragma unroll
        for (int i = 0; i < N; ++i) {
          sum[r * columns + c] = fmaf(row[i], weights[c][i], sum[r * columns + c]);
        }
      }
    }
  }

  __shared__ float parts[warps][R * columns];
#pragma unroll
  for (int i = 0; i < R * columns; ++i) {
    const float whole = warp_sum(sum[i]);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32][i] = whole;
  }
  __syncthreads();
  const int i = static_cast<int>(threadIdx.x);
  if (i >= R * columns || i / columns > last_row || i % columns > last_col) return;
  float value = 0;
#pragma unroll
  for (int warp = 0; warp < warps; ++warp) value += parts[warp][i];
  const std::int64_t col = first_col + i % columns;
  if (args.bias.data != nullptr) value += args.bias.get(col);
  args.y.set((first_row + i / columns) * args.outputs + col, activate(value, args.act));
}

template <int R, int N, class X, class W>
void launch(Args<X, W> args) {
  args.row_groups = blocks_for(args.rows, R);
  const std::int64_t blocks = args.row_groups * ((args.outputs + columns - 1) / columns);
  WEFT_ASSERT(blocks <= INT32_MAX, "{} rows of {} outputs are no few rows", args.rows,
              args.outputs);
  few_rows_kernel<R, N><<<static_cast<unsigned>(blocks), threads, 0, cuda_stream()>>>(args);
  check_launch("few_rows_kernel");
}

template <class X, class W>
void launch_for(const Args<X, W>& args) {
  const auto address = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p); };
  const bool aligned = args.depth % 8 == 0 && (address(args.x) | address(args.w)) % 16 == 0;
  if (!aligned) return launch<few_rows, 1>(args);
  if (args.rows == 1) return launch<1, 8>(args);
  if (args.rows == 2) return launch<2, 8>(args);
  launch<few_rows, 8>(args);
}

Line line(const Tensor& t) {
  if (!t.defined()) return {nullptr, true};
  WEFT_ASSERT(t.dtype() == DType::f32 || t.dtype() == DType::bf16, "linear: {}",
              dtype_name(t.dtype()));
  return {t.raw(), t.dtype() == DType::f32};
}

}  // namespace

void linear_few_rows(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y,
                     Activation act) {
  WEFT_ASSERT(x.dim(1) <= INT32_MAX - threads * few_rows, "linear: depth {}", x.dim(1));
  by_type(x.dtype(), [&](auto x_type) {
    by_type(w.dtype(), [&](auto w_type) {
      using X = decltype(x_type);
      using W = decltype(w_type);
      launch_for(Args<X, W>{elements<X>(x), elements<W>(w), line(b), line(y), x.dim(0), w.dim(0),
                            static_cast<int>(x.dim(1)), 1, act});
    });
  });
}

}  // namespace weft::cuda
