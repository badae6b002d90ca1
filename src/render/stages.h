#pragma once
// Shared by the stages of a render.

#include "weft/render/renderer.h"

namespace weft {

inline constexpr int tag_frames = 1;  // the only messages on the group's own communicator

}  // namespace weft
