#pragma once
// Operands of attention in e4m3, each tensor with one scale that takes its largest value to 448.

#include <cstdint>

#include "weft/device/tensor.h"

namespace weft::cuda {

/// Rows of the table of scalars that cuDNN reads and writes, one 256-byte line each.
enum class Fp8Scalar : std::uint8_t {
  descale_q,
  descale_k,
  descale_v,      // value = descale * stored
  scale_weights,  // of the softmax weights, which are at most 1
  descale_weights,
  scale_out,     // the output is a mean of values, so the values' scale fits it
  amax_weights,  // cuDNN's outputs, not used
  amax_out,
  tokens,  // N as int32: rows behind it are padding
  count
};

struct Fp8Operands {
  std::int64_t tokens = 0;  // N
  Tensor q, k, v;           // [padded N, H, d] e4m3 bytes, zeros behind N
  Tensor scalars;           // [Fp8Scalar::count, 64] float32
  /// cuDNN's fp8 kernels take whole tiles of 128 tokens.
  static std::int64_t padded(std::int64_t tokens) { return (tokens + 127) / 128 * 128; }
  [[nodiscard]] float* scalar(Fp8Scalar which) const {
    return scalars.data<float>() + static_cast<std::int64_t>(which) * scalars.dim(1);
  }
};

/// q, k, v [N, H, d] bf16 with H d a multiple of 16, at multiples of 16 bytes. A NaN among them
/// makes everything NaN.
Fp8Operands quantise(const Tensor& q, const Tensor& k, const Tensor& v);

/// out = descale_v stored: the first N rows of cuDNN's output as bf16 [N, H, d].
void dequantise(const Tensor& stored, const Fp8Operands& operands, const Tensor& out);

}  // namespace weft::cuda
