#include <cmath>

#include "check.h"
#include "merge_key.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

constexpr int group = 16;  // threads of one query and head
constexpr int vec = 8;     // elements of each: 16 bytes
constexpr int threads = 256;

struct Sizes {
  std::int64_t queries;
  int heads, width;
};

/// Sum over the threads of a group, the same in each.
__device__ float group_sum(float x, unsigned members) {
#pragma unroll
  for (int half = group / 2; half > 0; half /= 2) x += __shfl_xor_sync(members, x, half);
  return x;
}

// `alone`: there are no keys so far; out is not read, and lse not either (it may be nullptr).
template <bool alone>
__global__ void merge(const bf16* q, const bf16* k, const bf16* v, Sizes s, float scale,
                      float logit, float* lse, bf16* out) {
  const std::int64_t row =
      (blockIdx.x * static_cast<std::int64_t>(threads) + threadIdx.x) / group;  // i H + h
  if (row >= s.queries * s.heads) return;                                       // whole groups
  const unsigned members = 0xFFFFU << (threadIdx.x % 32 / group * group);
  const int lane = static_cast<int>(threadIdx.x) % group;
  const std::int64_t i = row / s.heads;
  const int h = static_cast<int>(row % s.heads);
  const int c = lane * vec;
  const bool active = c < s.width;

  float dot = 0;
  float value[vec] = {};
  if (active) {
    float x[vec], y[vec];
    load(q + row * s.width + c, x);
    load(k + h * s.width + c, y);
    load(v + h * s.width + c, value);
#pragma unroll
    for (int e = 0; e < vec; ++e) dot += x[e] * y[e];
  }
  const float last = scale * group_sum(dot, members) + logit;

  // One thread touches lse, so that its old value is read before the new one is written.
  float* my_lse = lse == nullptr ? nullptr : lse + h * s.queries + i;
  float before = -INFINITY;
  if constexpr (!alone) {
    if (lane == 0) before = *my_lse;
    before = __shfl_sync(members, before, 0, group);
  }
  // Relative to the larger of both, so that neither exponential overflows.
  const float top = fmaxf(before, last);
  const float old_weight = expf(before - top);
  const float new_weight = expf(last - top);
  const float sum = old_weight + new_weight;
  if (my_lse != nullptr && lane == 0) *my_lse = top + logf(sum);
  if (!active) return;
  float result[vec] = {};
  if constexpr (!alone) load(out + row * s.width + c, result);
#pragma unroll
  for (int e = 0; e < vec; ++e) {
    result[e] = (old_weight * result[e] + new_weight * value[e]) / sum;
  }
  store(out + row * s.width + c, result);
}

template <bool alone>
void launch(const Tensor& q, const Tensor& k, const Tensor& v, float scale, float logit,
            const Tensor& lse, const Tensor& out) {
  const Sizes s{q.dim(0), static_cast<int>(q.dim(1)), static_cast<int>(q.dim(2))};
  WEFT_ASSERT(s.width % vec == 0 && s.width <= group * vec, "merge_key: head width {}", s.width);
  const unsigned blocks = blocks_for(s.queries * s.heads, threads / group);
  merge<alone><<<blocks, threads, 0, cuda_stream()>>>(
      elements<bf16>(q), elements<bf16>(k), elements<bf16>(v), s, scale, logit,
      lse.defined() ? elements<float>(lse) : nullptr, elements<bf16>(out));
  check_launch("merge_key");
}

}  // namespace

void merge_key(const Tensor& q, const Tensor& k, const Tensor& v, float scale, float logit,
               const Tensor& lse, const Tensor& out) {
  launch<false>(q, k, v, scale, logit, lse, out);
}

void only_key(const Tensor& q, const Tensor& k, const Tensor& v, float scale, float logit,
              const Tensor& lse, const Tensor& out) {
  launch<true>(q, k, v, scale, logit, lse, out);
}

}  // namespace weft::cuda
