#pragma once
// Attention on Hopper GPUs, by a kernel of our own: bfloat16 or e4m3, heads of 128, no biases.

#include "weft/ops/ops.h"

#include "attention_fp8.h"

namespace weft::cuda {

/// Whether attention_hopper() can do it: the GPU, the types and shapes, a positive scale.
bool attention_hopper_fits(const Tensor& q, const Tensor& k, const AttentionArgs& args);

/// Ops::attention of what fits. q, out [Nq, H, 128]; k, v [Nk, H, 128].
void attention_hopper(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                      const Tensor& out);
/// Ops::add_attention of what fits, with args.lse.
void add_attention_hopper(const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttentionArgs& args, const Tensor& out);
/// attention_hopper() with out in e4m3, to be multiplied by *largest_out / 448. *largest_out, on
/// the device, is the largest |v| (the results are means of v); where it is 0 they are zeros.
void attention_hopper_e4m3(const Tensor& q, const Tensor& k, const Tensor& v,
                           const AttentionArgs& args, const float* largest_out, const Tensor& out);

/// Whether attention_of_e4m3() can do it, of q [N, H, d].
bool attention_of_e4m3_fits(const Shape& q);
/// Attention of operands in e4m3: out [N, H, 128] bf16, or e4m3 to be multiplied by
/// x.v_scale->most / 448. Of args, scale and lse.
void attention_of_e4m3(const E4m3Operands& x, const AttentionArgs& args, const Tensor& out);
/// Ops::add_attention of operands in e4m3, with args.lse; out bf16.
void add_attention_of_e4m3(const E4m3Operands& x, const AttentionArgs& args, const Tensor& out);

}  // namespace weft::cuda
