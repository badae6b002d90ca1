#include "weft/io/video_encoder.h"

#include <fmt/format.h>

#include "ffmpeg_handles.h"
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

std::vector<std::string> video_library_versions() {
  const auto text = [](const char* name, unsigned version) {
    return fmt::format("{} {}.{}.{}", name, AV_VERSION_MAJOR(version), AV_VERSION_MINOR(version),
                       AV_VERSION_MICRO(version));
  };
  return {text("libavcodec", avcodec_version()), text("libavformat", avformat_version()),
          text("libswscale", swscale_version())};
}

}  // namespace weft
