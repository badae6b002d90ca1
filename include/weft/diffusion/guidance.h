#pragma once
// Classifier-free guidance and the choice of the expert (spec 5, "Loop").

#include "weft/ops/ops.h"

namespace weft {

/// out = uncond + scale (cond - uncond). out may be either input.
void guide(Ops& ops, const Tensor& cond, const Tensor& uncond, double scale, Tensor out);

}  // namespace weft
