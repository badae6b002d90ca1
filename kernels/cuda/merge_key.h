#pragma once
// One more key for an attention that is already done: the merged pad key of a prompt, whose logit
// is raised by ln(count), which cuDNN's fused kernels cannot express without a whole bias matrix.

#include "weft/device/tensor.h"

namespace weft::cuda {

/// Adds one key exactly: out and lse, of the keys so far, become those of all keys. q, out
/// [Nq, H, d] bf16; k, v [1, H, d] bf16; lse [H, Nq] float32. d is a multiple of 8 up to 128, all
/// addresses are multiples of 16. The key's logit is scale q.k + logit.
void merge_key(const Tensor& q, const Tensor& k, const Tensor& v, float scale, float logit,
               const Tensor& lse, const Tensor& out);

/// Attention to that key alone; lse may be undefined.
void only_key(const Tensor& q, const Tensor& k, const Tensor& v, float scale, float logit,
              const Tensor& lse, const Tensor& out);

}  // namespace weft::cuda
