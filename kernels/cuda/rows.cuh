#pragma once
// What the kernels over rows [N, D] share: the parameters of tokens, checks and launches.

#include <algorithm>

#include "weft/ops/ops.h"

#include "check.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {

constexpr int warp = 32;
constexpr int block_warps = 8;
constexpr int block_threads = warp * block_warps;

__device__ inline int lane() { return static_cast<int>(threadIdx.x) % warp; }
__device__ inline int warp_in_block() { return static_cast<int>(threadIdx.x) / warp; }
/// The row of this warp where every warp takes one.
__device__ inline std::int64_t row_of_warp() {
  return static_cast<std::int64_t>(blockIdx.x) * block_warps + warp_in_block();
}

/// Elements of T in a 16-byte access.
template <class T>
constexpr int pack_size = 16 / sizeof(T);

struct Rows {
  std::int64_t count;
  int width;
};

/// x and y as rows of their last dimension; their shapes must agree.
inline Rows rows_of(const Tensor& x, const Tensor& y, const char* op) {
  WEFT_ASSERT(x.shape() == y.shape() && x.dim(-1) > 0, "{}: {} and {}", op, x.shape().str(),
              y.shape().str());
  return {x.numel() / x.dim(-1), static_cast<int>(x.dim(-1))};
}

/// A float32 parameter with a value for each element of a row.
inline const float* row_parameter(const Tensor& w, const Rows& rows, const char* op) {
  WEFT_ASSERT(w.numel() == rows.width, "{}: rows of {}, parameter {}", op, rows.width,
              w.shape().str());
  return elements<float>(w);
}

/// TokenRows on the device; `last` is nullptr where they are absent.
struct TokenParameter {
  const float* first = nullptr;
  const float* last = nullptr;
  std::int64_t split = 0;
  __device__ const float* at(std::int64_t token) const { return token < split ? first : last; }
  /// Where the values of `token` end, at most `end`.
  __device__ std::int64_t until(std::int64_t token, std::int64_t end) const {
    return token < split ? min(split, end) : end;
  }
};

inline TokenParameter token_parameter(const TokenRows& p, const Rows& rows, const char* op) {
  const std::int64_t kinds = p.rows.numel() / rows.width;
  WEFT_ASSERT((kinds == 1 || kinds == 2) && p.rows.dim(-1) == rows.width,
              "{}: rows of {}, parameter {}", op, rows.width, p.rows.shape().str());
  const float* first = elements<float>(p.rows);
  return {first, first + (kinds - 1) * rows.width, kinds == 1 ? 0 : p.split};
}

/// Whether packs of `pack` elements may be moved in one access each.
inline bool aligned(const Tensor& x, int pack) {
  const std::size_t bytes = static_cast<std::size_t>(pack) * dtype_size(x.dtype());
  return x.dim(-1) % pack == 0 && reinterpret_cast<std::uintptr_t>(x.raw()) % bytes == 0;
}

/// Calls f with a value of x's element type and one of y's.
template <class F>
void by_types(const Tensor& x, const Tensor& y, F f) {
  by_type(x.dtype(), [&](auto of_x) { by_type(y.dtype(), [&](auto of_y) { f(of_x, of_y); }); });
}

/// Sum of f(element) over a row of any width and alignment, in every lane of the warp.
template <class X, class F>
__device__ float row_sum(const X* row, int width, F f) {
  float sum = 0;
  for (int j = lane(); j < width; j += warp) sum += f(to_float(row[j]));
  return warp_sum(sum);
}

/// A warp per row.
template <class... Parameters, class... Args>
void launch_per_row(const char* name, void (*kernel)(Parameters...), std::int64_t rows,
                    Args... args) {
  kernel<<<blocks_for(rows, block_warps), block_threads, 0, cuda_stream()>>>(args...);
  check_launch(name);
}

/// Blocks of `kernel` with `shared` bytes (the same at every call) that the device holds at once.
template <auto kernel>
std::int64_t resident_blocks(int shared) {
  static const std::int64_t blocks = [shared] {
    int device = 0, processors = 0, each = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared),
          "cudaFuncSetAttribute");
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, block_threads,
                                                        static_cast<std::size_t>(shared)),
          "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
    return static_cast<std::int64_t>(processors) * std::max(each, 1);
  }();
  return blocks;
}

/// As many blocks as the device holds at once, each of which loops over its share; fewer when
/// there is less to do: `tasks` in all, `block_tasks` for one round of a block.
template <auto kernel, class... Args>
void launch_resident(const char* name, std::int64_t tasks, int block_tasks, int shared,
                     Args... args) {
  const std::int64_t blocks =
      std::min((tasks + block_tasks - 1) / block_tasks, resident_blocks<kernel>(shared));
  kernel<<<static_cast<unsigned>(blocks), block_threads, static_cast<std::size_t>(shared),
           cuda_stream()>>>(args...);
  check_launch(name);
}

}  // namespace weft::cuda
