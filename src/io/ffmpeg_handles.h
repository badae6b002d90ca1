#pragma once
// Owners of FFmpeg's objects, and its return codes as weft::Error. Only API present in both FFmpeg
// 5.1 and 6.1 is used.

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace weft {

struct CloseInput {
  void operator()(AVFormatContext* p) const { avformat_close_input(&p); }
};
struct FreeOutput {
  void operator()(AVFormatContext* p) const { avformat_free_context(p); }
};
struct CloseIo {
  void operator()(AVIOContext* p) const { avio_closep(&p); }
};
struct FreeMemoryIo {
  void operator()(AVIOContext* p) const;
};
struct FreeCodec {
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
};
struct FreeFrame {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
};
struct FreePacket {
  void operator()(AVPacket* p) const { av_packet_free(&p); }
};
struct FreeScaler {
  void operator()(SwsContext* p) const { sws_freeContext(p); }
};

using InputHandle = std::unique_ptr<AVFormatContext, CloseInput>;
using OutputHandle = std::unique_ptr<AVFormatContext, FreeOutput>;
using IoHandle = std::unique_ptr<AVIOContext, CloseIo>;
using MemoryIoHandle = std::unique_ptr<AVIOContext, FreeMemoryIo>;
using CodecHandle = std::unique_ptr<AVCodecContext, FreeCodec>;
using FrameHandle = std::unique_ptr<AVFrame, FreeFrame>;
using PacketHandle = std::unique_ptr<AVPacket, FreePacket>;
using ScalerHandle = std::unique_ptr<SwsContext, FreeScaler>;

/// The options FFmpeg takes as text; what a call leaves in it was not understood.
class AvOptions {
 public:
  AvOptions() = default;
  ~AvOptions() { av_dict_free(&dict_); }
  AvOptions(const AvOptions&) = delete;
  AvOptions& operator=(const AvOptions&) = delete;

  void set(const std::string& key, const std::string& value);
  [[nodiscard]] AVDictionary** get() { return &dict_; }
  /// Error naming the first option that `what` left unused: this FFmpeg does not have it.
  void check_all_used(std::string_view what) const;

 private:
  AVDictionary* dict_ = nullptr;
};

/// av_strerror's text, e.g. "No space left on device".
std::string av_error_text(int code);

/// Error "WHAT: TEXT" for a negative code; returns the code otherwise.
int check_av(int code, std::string_view what);

FrameHandle make_frame();
/// With buffers that FFmpeg may read a little beyond the picture, as its vector code does.
FrameHandle make_frame(AVPixelFormat format, int width, int height);
PacketHandle make_packet();
CodecHandle make_codec_context(const AVCodec* codec);

/// "file:PATH": a colon in the name is then no protocol.
std::string file_url(const std::filesystem::path& path);

/// FFmpeg's errors go to weft's log as warnings (the caller decides what is fatal); the rest of its
/// chatter goes nowhere. Process-wide, done once.
void route_ffmpeg_log();

}  // namespace weft
