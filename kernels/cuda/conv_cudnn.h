#pragma once
// Convolutions by cuDNN: bf16 in, sums in float32, bias and residual added on the way out. Which
// kernel a shape gets is asked of cuDNN's heuristic once and kept.

#include <memory>

#include "conv_shape.h"

namespace weft::cuda {

class CudnnConv {
 public:
  CudnnConv();
  ~CudnnConv();
  /// y = conv(x) + b + args.residual; false, with nothing done, when cuDNN has no kernel for these
  /// types, this shape or this alignment.  x [T, H, W, C] and packed [O, kt, kh, kw, C] bf16, C and
  /// O multiples of 8; b and y f32 or bf16.
  bool run(const Tensor& x, const Tensor& packed, const Tensor& b, const ConvShape& s,
           const ConvArgs& args, const Tensor& y);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;  // made at the first run: float32 never needs cuDNN
};

}  // namespace weft::cuda
