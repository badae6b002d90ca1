// Two partial attentions become one. Bound by memory: every value is read once and written once.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "cuda_ops.h"
#include "packs.cuh"

namespace weft::cuda {
namespace {

constexpr int warp = 32;

/// A row is one head of one token, of `packs` packs; a team of threads of one warp shares it.
struct Sizes {
  unsigned rows, tokens, heads;
  int packs, team;  // team: a power of two up to a warp
};

template <int N, class Out, class Part>
__global__ void __launch_bounds__(threads_per_block)
    merge(Sizes s, Out* out, float* lse, const Part* part, const float* part_lse) {
  const unsigned row = static_cast<unsigned>(
      (blockIdx.x * static_cast<std::int64_t>(threads_per_block) + threadIdx.x) / s.team);
  if (row >= s.rows) return;  // whole teams
  const int lane = static_cast<int>(threadIdx.x) % s.team;
  const unsigned members = (0xFFFFFFFFU >> (warp - s.team))
                           << (static_cast<int>(threadIdx.x) % warp - lane);
  float* const my_lse = lse + static_cast<std::int64_t>(row % s.heads) * s.tokens + row / s.heads;

  const float own = *my_lse;
  const float other = part_lse[my_lse - lse];
  // Relative to the larger of both, so that neither exponential overflows; with no keys on either
  // side any finite reference will do.
  const float top = fmaxf(own, other);
  const float reference = top == -INFINITY ? 0.F : top;
  const float own_sum = expf(own - reference);
  const float other_sum = expf(other - reference);
  const float sum = own_sum + other_sum;
  const float own_weight = sum == 0 ? 0.F : own_sum / sum;
  const float other_weight = sum == 0 ? 0.F : other_sum / sum;

  const std::int64_t first = static_cast<std::int64_t>(row) * s.packs;
  for (int p = lane; p < s.packs; p += s.team) {
    float x[N], y[N];
    load(out + (first + p) * N, x);
    load(part + (first + p) * N, y);
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = x[i] * own_weight + y[i] * other_weight;
    store(out + (first + p) * N, x);
  }
  __syncwarp(members);  // every thread of the team has read the old value
  if (lane == 0) *my_lse = reference + logf(sum);
}

template <class Out, class Part>
void launch(const Tensor& out, const Tensor& lse, const Tensor& part, const Tensor& part_lse) {
  const std::int64_t rows = out.dim(0) * out.dim(1), width = out.dim(2);
  WEFT_ASSERT(rows <= std::numeric_limits<int>::max() && width <= std::numeric_limits<int>::max(),
              "merge_attention: {}", out.shape().str());
  Out* const to = elements<Out>(out);
  const Part* const from = elements<Part>(part);
  by_pack(
      width,
      [&](auto pack) {
        constexpr int n = decltype(pack)::value;
        const int packs = static_cast<int>(width) / n;
        const int team =
            static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::min(packs, warp))));
        const Sizes s{static_cast<unsigned>(rows), static_cast<unsigned>(out.dim(0)),
                      static_cast<unsigned>(out.dim(1)), packs, team};
        merge<n>
            <<<blocks_for(rows, threads_per_block / team), threads_per_block, 0, cuda_stream()>>>(
                s, to, elements<float>(lse), from, elements<float>(part_lse));
      },
      to, from);
  check_launch("merge_attention");
}

}  // namespace

void CudaOps::merge_attention(Tensor out, Tensor lse, const Tensor& part, const Tensor& part_lse) {
  WEFT_ASSERT(part.shape() == out.shape() && lse.shape() == Shape({out.dim(1), out.dim(0)}) &&
                  part_lse.shape() == lse.shape(),
              "merge_attention: out {}, lse {}, part {}, part_lse {}", out.shape().str(),
              lse.shape().str(), part.shape().str(), part_lse.shape().str());
  if (out.numel() == 0) return;
  by_type(out.dtype(), [&]<class Out>(Out) {
    by_type(part.dtype(), [&]<class Part>(Part) { launch<Out, Part>(out, lse, part, part_lse); });
  });
}

}  // namespace weft::cuda
