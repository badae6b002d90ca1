#pragma once
// Between rgb24 and the pixel formats of coded pictures.

#include <cstdint>
#include <span>

#include "weft/io/image.h"

#include "ffmpeg_handles.h"

namespace weft {

/// rgb24 pictures into frames of one format. YUV is BT.709, limited range, chroma sited left (as
/// H.264 assumes); RGB formats take the bytes as they are.
class RgbToFrame {
 public:
  RgbToFrame(AVPixelFormat format, int width, int height);
  /// The converted frame, valid until the next call; an encoder may keep its own reference.
  AVFrame* convert(std::span<const std::uint8_t> rgb);  // rgb: [height, width, 3]
  /// The frame convert() fills, to be tagged once.
  [[nodiscard]] AVFrame& frame() { return *target_; }

 private:
  FrameHandle source_;  // a padded copy: swscale reads a little beyond the last pixel
  FrameHandle target_;
  ScalerHandle scaler_;
};

/// Any decoded frame as rgb24. RGB, grey and palette formats keep their top 8 bits exactly and drop
/// alpha; YUV goes through swscale with the frame's own matrix, range and chroma siting.
Image image_from_frame(const AVFrame& frame);

}  // namespace weft
