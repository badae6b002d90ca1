#pragma once
// A convolution's inputs as rows of a matrix, for those that are computed as a matrix product.

#include "conv_shape.h"

namespace weft::cuda {

/// Row i holds the inputs of output position first + i, in the order (kt, kh, kw, C); zeros outside
/// the frame and past the last tap. x [T, H, W, C] f32 or bf16; rows [count, s.row_length()] f32 or
/// bf16, converted on the way, fewer than 2^31 elements.
void gather_patches(const Tensor& x, const ConvShape& s, const ConvArgs& args, std::int64_t first,
                    const Tensor& rows);

}  // namespace weft::cuda
