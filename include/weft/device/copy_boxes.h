#pragma once
// Several boxes at once: the pieces that ranks send each other are many and short, and on CUDA one
// launch takes them all.

#include <cstdint>
#include <span>
#include <vector>

#include "weft/device/tensor.h"

namespace weft {

/// The arguments of copy_box(): `extent` elements at `from_at` of `from` to `to_at` of `to`.
struct BoxCopy {
  Tensor from;
  std::vector<std::int64_t> from_at;
  Tensor to;
  std::vector<std::int64_t> to_at;
  std::vector<std::int64_t> extent;
};

/// copy_box() of each. All on one kind of device; no box overlaps another that is written.
void copy_boxes(std::span<const BoxCopy> boxes);

}  // namespace weft
