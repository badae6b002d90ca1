#pragma once
// Frames to a file, by extension, through FFmpeg's libraries. A file gets its final name only when
// it is complete.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "weft/base/error.h"

namespace weft {

struct VideoOptions {
  std::int64_t width = 0, height = 0;
  double fps = 16;
  std::string codec = "auto";       // auto: x264 for .mp4 .mov .mkv; or "ffv1" (.mkv only)
  int crf = 18;                     // x264: 0 lossless ... 51
  std::string preset = "medium";    // x264
  std::string pix_fmt = "yuv420p";  // x264: yuv420p, yuv422p, yuv444p
  // Into .mp4, .mov and .mkv, any keys ("title" and "comment" are what players show); .y4m and PNG
  // hold none.
  std::map<std::string, std::string> metadata;
};

class VideoEncoder {
 public:
  virtual ~VideoEncoder() = default;
  /// One frame, rgb24 [height, width, 3], in display order.
  virtual void write(std::span<const std::uint8_t> rgb) = 0;
  /// Flushes, closes (errors are fatal), renames to the final name. Not called: nothing is left
  /// behind under the final name, and the temporary file is removed by the destructor. A PNG
  /// sequence names each frame as soon as it is whole; its destructor removes them again.
  virtual void finish() = 0;
};

/// What is wrong with writing `path` with these options (unknown extension, folder missing or not
/// writable, pixel format unknown, size odd for yuv420p, codec that the container cannot hold,
/// "%05d" missing in a .png path ...): every problem, before anything is rendered.
void check_video_output(const std::filesystem::path& path, const VideoOptions& options,
                        Problems& problems);

/// .mp4 .mov .mkv (x264, or FFV1 in .mkv, which keeps the RGB bytes), .y4m (yuv420p... as pix_fmt),
/// or a PNG per frame for a path with a printf number such as out/%05d.png (from 0; the last folder
/// is made when missing). YUV is BT.709, limited range, and tagged so. Equal frames and options
/// give equal files whatever the machine's processors. InputError: what check_video_output finds.
std::unique_ptr<VideoEncoder> open_video(const std::filesystem::path& path,
                                         const VideoOptions& options);

/// "libavcodec 59.37.100", ...: of FFmpeg's libraries in use.
std::vector<std::string> video_library_versions();

}  // namespace weft
