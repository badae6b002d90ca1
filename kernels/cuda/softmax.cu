// One block per row, two passes: the first finds maximum and sum with a running rescale, the second
// writes. The second pass finds the row in the L2 cache.
#include <cmath>

#include "check.h"
#include "softmax.h"
#include "stream.h"
#include "vectors.cuh"

namespace weft::cuda {
namespace {

constexpr int vec = 4;  // floats of one 16-byte load

/// What exp() is taken relative to. All logits -inf: any finite value gives weights exp(-inf) = 0.
__device__ float reference(float max) { return max == -INFINITY ? 0.F : max; }

/// Maximum and sum of exp(x - maximum) of the logits seen so far. A NaN stays in the sum.
struct Running {
  float max = -INFINITY;
  float sum = 0;

  __device__ void add(const float (&x)[vec]) {
    const float top = fmaxf(max, fmaxf(fmaxf(x[0], x[1]), fmaxf(x[2], x[3])));
    const float zero = reference(top);
    sum *= expf(max - zero);
#pragma unroll
    for (const float value : x) sum += expf(value - zero);
    max = top;
  }
};

/// Combines the threads' parts; every thread gets the same result.
template <int threads>
__device__ Running combine(const Running& mine) {
  constexpr int warps = threads / 32;
  __shared__ float part[2][warps];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const float warp_top = warp_max(mine.max);
  if (threadIdx.x % 32 == 0) part[0][warp] = warp_top;
  __syncthreads();
  Running all;
#pragma unroll
  for (int w = 0; w < warps; ++w) all.max = fmaxf(all.max, part[0][w]);
  const float warp_part = warp_sum(mine.sum * expf(mine.max - reference(all.max)));
  if (threadIdx.x % 32 == 0) part[1][warp] = warp_part;
  __syncthreads();
#pragma unroll
  for (int w = 0; w < warps; ++w) all.sum += part[1][w];
  return all;
}

/// Logits of keys j .. j + 3; behind the last key -inf. `bias` points at key 0 of this query.
__device__ void load_logits(const float* scores, const float* bias, const Logits& l, int keys,
                            int j, float (&x)[vec]) {
  if (j + vec <= keys) {
    load(scores + j, x);
  } else {
#pragma unroll
    for (int i = 0; i < vec; ++i) x[i] = j + i < keys ? scores[j + i] : -INFINITY;
  }
#pragma unroll
  for (int i = 0; i < vec; ++i) {
    if (j + i >= keys) continue;  // -inf times a scale of 0 would be NaN
    x[i] *= l.scale;
    if (bias != nullptr) x[i] += bias[j + i];
    if (j + i == keys - 1) x[i] += l.last_key_logit;
  }
}

// `to` may be the scores: a thread reads and writes the same columns in both passes.
template <class T, int threads>
__global__ void softmax_rows(Scores s, Logits l, T* to, float* lse) {
  const std::int64_t h = blockIdx.x / s.rows;
  const std::int64_t r = blockIdx.x % s.rows;
  const std::int64_t i = l.first + r;
  const int keys = static_cast<int>(s.keys);
  const float* scores = s.data + h * s.head_stride + r * s.row_stride;
  to += h * s.head_stride + r * s.row_stride;
  const float* bias =
      l.bias == nullptr ? nullptr : l.bias + h * (l.queries + s.keys - 1) + (l.queries - 1 - i);
  const int begin = static_cast<int>(threadIdx.x) * vec;
  float x[vec];
  Running mine;
  for (int j = begin; j < keys; j += threads * vec) {
    load_logits(scores, bias, l, keys, j, x);
    mine.add(x);
  }
  const Running all = combine<threads>(mine);
  const float zero = reference(all.max);
  if (lse != nullptr && threadIdx.x == 0) lse[h * l.queries + i] = zero + logf(all.sum);

  const float factor = all.sum == 0 ? 0.F : 1 / all.sum;
  for (int j = begin; j < keys; j += threads * vec) {
    load_logits(scores, bias, l, keys, j, x);
#pragma unroll
    for (float& value : x) value = expf(value - zero) * factor;
    if (j + vec <= keys) {
      store(to + j, x);
    } else {
#pragma unroll
      for (int c = 0; c < vec; ++c) {
        if (j + c < keys) to[j + c] = from_float<T>(x[c]);
      }
    }
  }
}

}  // namespace

void softmax(const Scores& scores, const Logits& logits, const Tensor& probabilities, float* lse) {
  WEFT_ASSERT(scores.row_stride % vec == 0 && scores.head_stride % vec == 0, "strides {}, {}",
              scores.row_stride, scores.head_stride);
  // Rows of a prompt would leave most of a large block without work.
  constexpr std::int64_t short_row = 2048;
  const unsigned blocks = blocks_for(scores.heads * scores.rows, 1);
  by_type(probabilities.dtype(), [&](auto type) {
    using T = decltype(type);
    T* to = elements<T>(probabilities);
    if (scores.keys <= short_row) {
      softmax_rows<T, 128><<<blocks, 128, 0, cuda_stream()>>>(scores, logits, to, lse);
    } else {
      softmax_rows<T, 512><<<blocks, 512, 0, cuda_stream()>>>(scores, logits, to, lse);
    }
  });
  check_launch("softmax");
}

}  // namespace weft::cuda
