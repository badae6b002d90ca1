#pragma once
// Whether an image file goes on to its end.

#include <string_view>

#include "ffmpeg_handles.h"

namespace weft {

/// False for a PNG, JPEG, GIF or BMP that was cut off: FFmpeg's decoders make up what is missing,
/// with grey or shifted rows as the result. True for other formats, whose decoders notice. What
/// follows the end (cameras append videos) does not matter for PNG, JPEG and BMP.
bool has_its_end(AVCodecID codec, std::string_view file);

}  // namespace weft
