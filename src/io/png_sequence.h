#pragma once
// A PNG per frame.

#include "weft/io/video_encoder.h"

#include "png.h"
#include "video_target.h"

namespace weft {

/// Each frame gets its name when it is whole, so a long render can be watched; without finish() the
/// frames, and the folder if it was made for them, are removed again.
class PngSequence final : public VideoEncoder {
 public:
  PngSequence(const std::filesystem::path& path, const VideoOptions& options);
  ~PngSequence() override;
  void write(std::span<const std::uint8_t> rgb) override;
  void finish() override;

 private:
  std::filesystem::path folder_;
  FrameName name_;
  PngWriter png_;
  std::int64_t frames_ = 0;
  bool made_folder_ = false, finished_ = false;
};

}  // namespace weft
