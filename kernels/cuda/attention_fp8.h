#pragma once
// Operands of attention in e4m3, each tensor with one scale, and its results.

#include <cstdint>

#include "weft/device/tensor.h"

#include "quantize.h"

namespace weft::cuda {

/// What lies behind the elements of tokens in e4m3, on the device.
struct TokenScale {
  float descale;  // value = descale * stored
  float most;     // the largest magnitude; where quantise() made the tokens
  float guess;    // the descale that quantise() tries first
};

/// Space for tokens f8e4m3 [N, H, d] with H d a multiple of 16: its storage holds whole tiles of
/// 128 tokens, zeros behind N, and then a TokenScale.
Tensor e4m3_tokens(const Shape& tokens);
/// The scale of such tokens, [N, H, d] or [N, H d]. `x` is the whole tensor, not a slice.
TokenScale* token_scale(const Tensor& x);

/// x [N, H, d] bf16, at a multiple of 16 bytes. A NaN or an infinity makes everything NaN.
Tensor quantise(const Tensor& x);

/// The scalars that cuDNN reads and writes. Those from scale_weights on are rows of a table, one
/// 256-byte line each.
enum class Fp8Scalar : std::uint8_t {
  descale_q,
  descale_k,
  descale_v,
  scale_weights,  // of the softmax weights, which are at most 1
  descale_weights,
  scale_out,     // the output is a mean of values: what fits the largest value fits it
  amax_weights,  // cuDNN's outputs, not used
  amax_out,
  tokens,       // N as int32: rows behind it are padding
  descale_out,  // 1 / scale_out; not cuDNN's
  count
};

struct Fp8Operands {
  Tensor q, k, v;  // e4m3_tokens(); v by quantise()
  Tensor table;    // [scalars from scale_weights on, 64] float32
  [[nodiscard]] float* scalar(Fp8Scalar which) const;
};
Fp8Operands fp8_operands(const Tensor& q, const Tensor& k, const Tensor& v);

/// Operands of our own kernel (attention_hopper.h): of q k and v as before, but v transposed.
struct E4m3Operands {
  Tensor q, k;  // f8e4m3 [N, H, 128]
  Tensor v;     // f8e4m3 [H, 128, whole_tiles(Nk)]; zeros behind Nk; keys permuted within each 32:
                // number 16 h + 4 t + 2 i + j is key 16 h + 8 i + 2 t + j
  const TokenScale *q_scale, *k_scale, *v_scale;  // in their storage
};
/// q, k bf16 or e4m3_tokens(), v bf16; all [N, H, 128].
E4m3Operands e4m3_operands(const Tensor& q, const Tensor& k, const Tensor& v);

/// Length of an e4m3_block() of tokens [N, H, 128].
std::int64_t e4m3_block_bytes(const Shape& tokens);
/// Keys and values in one tensor, which ranks hand on: f8e4m3 [e4m3_block_bytes()].
/// k, v bf16 [N, H, 128].
Tensor e4m3_block(const Tensor& k, const Tensor& v);
/// q e4m3_tokens(); `block` of `tokens` [Nk, H, 128], at a multiple of 16 bytes.
E4m3Operands e4m3_operands(const Tensor& q, const Tensor& block, const Shape& tokens);

/// out = descale_out stored: the first N rows of cuDNN's output as bf16 [N, H, d].
void dequantise(const Tensor& stored, const Fp8Operands& operands, const Tensor& out);
/// Every element of `scale` [N] becomes descale_out.
void fill_scales(const Fp8Operands& operands, const Tensor& scale);

/// The largest |x| of bf16 x, whose elements are a multiple of 16 at a multiple of 16 bytes: one
/// float32 on the device, a NaN where there is one among them.
Tensor largest_magnitude(const Tensor& x);
/// Every element of `scale` [N] becomes *largest / 448; *largest is on the device.
void fill_scales_of(const float* largest, const Tensor& scale);

}  // namespace weft::cuda
