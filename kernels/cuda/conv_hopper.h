#pragma once
// Convolutions of bf16 video on Hopper (sm_90): a matrix product of output positions by output
// channels over (taps x channels), whose operands never exist in memory: patches of x are copied to
// shared memory with the zeros around each frame, and the taps of a kernel's column read one patch.

#include "weft/ops/ops.h"

namespace weft::cuda {

/// Whether conv_hopper can compute this convolution: bf16 throughout, 3x3x3, 1x3x3 or 3x1x1 kernels
/// of stride 1, input channels a multiple of 64 or 96, output channels close below a multiple of
/// 96, 128 or 192.  w [O, C, kt, kh, kw] or [O, C, kh, kw].
bool conv_hopper_fits(const Tensor& x, const Shape& w, const ConvArgs& args, const Tensor& y);

/// Ops::conv with its weights as rows: x [T, H, W, C], packed [O, kt, kh, kw, C], b [O],
/// y [T', H', W', O].
void conv_hopper(const Tensor& x, const Tensor& packed, const Tensor& b, const ConvArgs& args,
                 const Tensor& y);

}  // namespace weft::cuda
