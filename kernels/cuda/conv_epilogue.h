#pragma once
// What follows a convolution that was computed without it.

#include "weft/device/tensor.h"

namespace weft::cuda {

/// y += b + residual, in float32, rounded once. y [..., O] f32 or bf16; b [O] f32 or bf16, or
/// undefined; residual of y's shape and type, or undefined.
void add_bias_and_residual(const Tensor& y, const Tensor& b, const Tensor& residual);

}  // namespace weft::cuda
