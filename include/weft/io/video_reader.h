#pragma once
// Frames and facts out of a video file.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "weft/io/image.h"

namespace weft {

struct VideoInfo {
  std::int64_t width = 0, height = 0;
  double fps = 0;
  double seconds = 0;                           // as the container states it; 0 where it does not
  std::string codec;                            // "h264", "ffv1", "rawvideo"
  std::string pix_fmt;                          // "yuv420p", "bgr0"
  std::string matrix, range;                    // "bt709", "tv"
  std::map<std::string, std::string> metadata;  // keys in lower case: Matroska stores them in upper
};

/// Reads one file front to back. YUV without a named matrix is taken for BT.709, which weft writes
/// and Y4M cannot name. InputError names the file for anything that is not a video.
class VideoReader {
 public:
  explicit VideoReader(const std::filesystem::path& path);
  ~VideoReader();
  VideoReader(const VideoReader&) = delete;
  VideoReader& operator=(const VideoReader&) = delete;

  [[nodiscard]] const VideoInfo& info() const;
  /// The next frame in display order, or nothing after the last one.
  std::optional<Image> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
