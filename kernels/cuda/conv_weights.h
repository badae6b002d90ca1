#pragma once
// Weights as convolutions of channels-last video read them.

#include "conv_shape.h"

namespace weft::cuda {

/// w [O, C, kt, kh, kw] as rows [O, s.row_length()] of (kt, kh, kw, C), ends filled with zeros;
/// when C is a multiple of 8 that is exactly [O, kt, kh, kw, C]. Made at the first call and kept
/// with w's storage.
Tensor packed_conv_weights(const Tensor& w, const ConvShape& s);

}  // namespace weft::cuda
