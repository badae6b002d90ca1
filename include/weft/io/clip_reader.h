#pragma once
// The frames of a clip in any form that weft writes, or that FFmpeg reads.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "weft/io/image.h"

namespace weft {

struct ClipInfo {
  std::int64_t width = 0, height = 0;
  double fps = 0;      // 0: the form does not say, as PNG files
  std::string format;  // "h264, yuv420p"; "PNG files"
};

class ClipReader {
 public:
  virtual ~ClipReader() = default;
  [[nodiscard]] virtual const ClipInfo& info() const = 0;
  /// The next frame in display order, as large as the first; nothing after the last one.
  /// InputError: the file, and what is wrong with it.
  virtual std::optional<Image> next() = 0;
};

/// A video file; or PNG files, named with a frame number that counts from 0 as the encoder takes it
/// (out/%05d.png), or by their folder, where they are the numbered ones and count from any number
/// on. InputError: no such file, not a video, no first frame, a number left out.
std::unique_ptr<ClipReader> open_clip(const std::filesystem::path& path);

}  // namespace weft
