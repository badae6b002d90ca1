#pragma once
// One video file through libavcodec and libavformat.

#include "weft/io/atomic_file.h"
#include "weft/io/video_encoder.h"

#include "ffmpeg_handles.h"
#include "frame_convert.h"
#include "video_target.h"

namespace weft {

/// Equal frames and options give equal bytes, whatever the machine's processors (same libraries).
class MuxedVideo final : public VideoEncoder {
 public:
  MuxedVideo(const std::filesystem::path& path, Container container, const VideoOptions& options);
  void write(std::span<const std::uint8_t> rgb) override;
  void finish() override;

 private:
  void open_codec(Container container, const VideoOptions& options);
  void open_file(Container container, const VideoOptions& options);
  void encode(const AVFrame* frame);  // null: the last frames come out
  int check(int code, const char* what) const;

  AtomicPath file_;  // first, so that it is removed last, when nobody holds it open
  IoHandle io_;
  OutputHandle muxer_;
  CodecHandle codec_;
  std::unique_ptr<RgbToFrame> convert_;
  PacketHandle packet_;
  AVStream* stream_ = nullptr;  // owned by muxer_
  std::int64_t frames_ = 0;
  bool finished_ = false;
};

}  // namespace weft
