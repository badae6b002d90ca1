#pragma once
// Convolutions of the video autoencoder on CUDA. bf16: a kernel of our own for few outputs, one for
// Hopper, cuDNN's channels-last kernels for the rest. float32, pointwise ones, and what cuDNN
// refuses: a matmul over gathered patches.

#include <memory>

#include "weft/ops/ops.h"

#include "matmul.h"

namespace weft::cuda {

class Conv {
 public:
  explicit Conv(Matmul& matmul);
  ~Conv();
  /// Ops::conv; shapes are checked.
  void run(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
           const Tensor& y);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::cuda
