#pragma once
// The softmax between the two matrix products of attention, for shapes without a fused kernel.

#include <cstdint>

#include "weft/device/tensor.h"

namespace weft::cuda {

/// Scores q.k of a block of queries, [heads, rows, row_stride] with `keys` used columns.
struct Scores {
  const float* data = nullptr;
  std::int64_t heads = 0, rows = 0, keys = 0;
  std::int64_t row_stride = 0;   // elements, a multiple of 4
  std::int64_t head_stride = 0;  // elements, a multiple of 4
};

/// What turns a score into a logit, as in AttentionArgs. `queries` counts all queries of the call,
/// `first` is the one of the block's first row.
struct Logits {
  float scale = 1;
  float last_key_logit = 0;
  const float* bias = nullptr;  // [heads, queries + keys - 1] by j - i + queries - 1, or nullptr
  std::int64_t queries = 0, first = 0;
};

/// probabilities = softmax(logits) by rows, in float32, written as f32 (then they may be the scores
/// themselves) or bf16 with the scores' strides (in elements). lse [heads, queries] or nullptr. A
/// row whose logits are all -inf gives zeros and an lse of -inf.
void softmax(const Scores& scores, const Logits& logits, const Tensor& probabilities, float* lse);

}  // namespace weft::cuda
