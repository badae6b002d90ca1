#pragma once
#include <algorithm>
#include <cmath>

#include "reference/attention.h"

namespace weft::reference {

/// Partial results over disjoint keys as one: out, part [N, H, d]; lse, part_lse [H, N]. The part's
/// are tensors or values.
template <class Part>
Attention merge_attention(const Tensor& out, const Tensor& lse, const Part& part,
                          const Part& part_lse) {
  const std::int64_t tokens = out.dim(0), heads = out.dim(1), width = out.dim(2);
  Attention merged{values(out), values(lse)};
  for (std::int64_t i = 0; i < tokens; ++i) {
    for (std::int64_t h = 0; h < heads; ++h) {
      const double own = at(lse, h * tokens + i), other = at(part_lse, h * tokens + i);
      const double top = std::max(own, other);
      const bool none = top == -INFINITY;
      const double m = none ? top : top + std::log(std::exp(own - top) + std::exp(other - top));
      at(merged.lse, h * tokens + i) = m;
      for (std::int64_t c = (i * heads + h) * width; c < (i * heads + h + 1) * width; ++c) {
        at(merged.out, c) =
            none ? 0 : at(out, c) * std::exp(own - m) + at(part, c) * std::exp(other - m);
      }
    }
  }
  return merged;
}

}  // namespace weft::reference
