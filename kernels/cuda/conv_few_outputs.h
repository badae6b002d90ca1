#pragma once
// Convolutions down to a few channels: the decoder's last one, from its widest activation to
// pixels. Tiles of 64 outputs and more, as other kernels have, would mostly multiply zeros.

#include "conv_shape.h"

namespace weft::cuda {

/// 3 x 3 in space, stride 1, at most 16 outputs, input channels in multiples of 8, x and w bf16, no
/// residual.
bool conv_few_outputs_fits(const Tensor& x, const Tensor& w, const ConvShape& s,
                           const ConvArgs& args);
/// packed [O, kt, 3, 3, C] bf16; b and y f32 or bf16. Sums in float32.
void conv_few_outputs(const Tensor& x, const Tensor& packed, const Tensor& b, const ConvShape& s,
                      const ConvArgs& args, const Tensor& y);

}  // namespace weft::cuda
