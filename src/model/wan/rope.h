#pragma once
#include "weft/model/transformer.h"

namespace weft {

/// Tables [range, head_dim / 2] on the CPU for tokens of a frames x rows x cols grid of patches.
RopeTable make_rope(std::int64_t head_dim, std::int64_t frames, std::int64_t rows,
                    std::int64_t cols, TokenRange range);

}  // namespace weft
