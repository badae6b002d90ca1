#pragma once
// cuDNN's fused attention, through its frontend's graphs. A plan is built at the first call of each
// shape (tens of milliseconds) and kept; a shape that cuDNN refuses is remembered as well.

#include <memory>

#include "weft/device/tensor.h"

#include "attention_fp8.h"

namespace weft::cuda {

class CudnnAttention {
 public:
  CudnnAttention();
  ~CudnnAttention();
  /// out = softmax(scale q k^T) v.  q, out [Nq, H, d], k, v [Nk, H, d] bf16; lse [H, Nq] float32 or
  /// undefined. All addresses are multiples of 16. False: cuDNN cannot, and nothing was done.
  bool run(const Tensor& q, const Tensor& k, const Tensor& v, float scale, const Tensor& lse,
           const Tensor& out);
  /// Whether cuDNN can do self-attention of q [N, H, d] in e4m3.
  bool has_fp8(const Shape& q, float scale);
  /// The same for quantised operands, if it can. out [N, H, d] e4m3, to be multiplied by
  /// descale_out: whole tiles of rows are written (whole_tiles()).
  void run(const Fp8Operands& x, float scale, const Tensor& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::cuda
