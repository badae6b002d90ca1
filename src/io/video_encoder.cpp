#include "weft/io/video_encoder.h"

#include "muxed_video.h"
#include "png_sequence.h"
#include "video_target.h"

namespace weft {

std::unique_ptr<VideoEncoder> open_video(const std::filesystem::path& path,
                                         const VideoOptions& options) {
  Problems problems;
  check_video_output(path, options, problems);
  problems.throw_if_any();
  const Container container = container_of(path).value();
  if (container == Container::png_sequence) return std::make_unique<PngSequence>(path, options);
  return std::make_unique<MuxedVideo>(path, container, options);
}

}  // namespace weft
