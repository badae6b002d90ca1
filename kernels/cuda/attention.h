#pragma once
// Attention on CUDA, in three ways, chosen by shape and type:
//  1. A Hopper kernel of our own (attention_hopper.h) for what it says it fits: bf16, heads of 128.
//  2. cuDNN's fused kernels: bf16, head widths that are multiples of 8 up to 128, no bias. The
//     merged pad key of cross-attention (last_key_logit) is added afterwards (merge_key.h).
//  3. Two matrix products with a softmax between them, query block by query block, for everything
//     else: float32, other head widths, relative biases, shapes that cuDNN refuses.
//
// With Precision::fp8, long self-attention of width 128 runs in e4m3, by our kernel or by cuDNN's,
// unless lse is wanted; q, k and out then need not be bf16 in between (Ops::attention_input(),
// Ops::linear_input()). Block by block (Ops::block_attention()) it is our kernel or bf16.
//
// Self-attention of many tokens is the larger part of a render; the rest takes a few percent.

#include <memory>

#include "weft/ops/ops.h"

#include "matmul.h"

namespace weft::cuda {

class Attention {
 public:
  Attention(Matmul& matmul, Precision precision);
  ~Attention();
  /// Whether self-attention of q [N, H, d] takes q and k as e4m3_tokens().
  bool takes_e4m3(const Shape& q);
  /// Ops::attention; shapes are checked. A query whose logits are all -inf gives zeros.
  void run(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
           const Tensor& out);
  /// Ops::block_attention in e4m3; nullptr where it is done in bf16.
  std::unique_ptr<BlockAttention> in_e4m3_blocks(const Tensor& q, float scale, std::int64_t fewest,
                                                 const Tensor& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::cuda
