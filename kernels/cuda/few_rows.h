#pragma once
// Linear layers of a few rows (time embeddings): all the time goes into reading the weights once.

#include <cstdint>

#include "weft/ops/ops.h"

namespace weft::cuda {

/// At most this many rows share one reading of the weights.
constexpr std::int64_t few_rows = 8;

/// Ops::linear for f32 and bf16 in any mixture, any sizes and alignment; sums are float32. More
/// rows than few_rows are computed too, that many at a time.
void linear_few_rows(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y,
                     Activation act);

}  // namespace weft::cuda
