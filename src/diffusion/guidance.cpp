#include "weft/diffusion/guidance.h"

#include <array>

namespace weft {

void guide(Ops& ops, const Tensor& cond, const Tensor& uncond, double scale, Tensor out) {
  const auto g = static_cast<float>(scale);
  ops.combine(std::array<Term, 2>{Term{1 - g, uncond}, Term{g, cond}}, out);
}

}  // namespace weft
