#pragma once
// Centre-sited 4:2:0 and 4:2:2 to 4:4:4, as libjpeg and libwebp do it.

#include "ffmpeg_handles.h"

namespace weft {

/// True for 8-bit planar frames with halved chroma sited between the luma samples (JPEG, WebP).
bool has_centred_half_chroma(const AVFrame& frame);

/// The frame as 4:4:4 with the same range and matrix. Each chroma sample weighs 3/4 on its near and
/// 1/4 on its far neighbour, per direction. swscale's own filter lies up to half a pixel off when a
/// side is odd.
FrameHandle with_full_chroma(const AVFrame& frame);

}  // namespace weft
