#include "ffmpeg_handles.h"

#include <array>
#include <mutex>

#include "weft/base/error.h"
#include "weft/base/log.h"

namespace weft {
namespace {

void log_from_ffmpeg(void* source, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  std::array<char, 1024> line{};
  int print_prefix = 1;
  av_log_format_line2(source, level, format, arguments, line.data(), static_cast<int>(line.size()),
                      &print_prefix);
  std::string text = line.data();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (!text.empty()) log_warn("FFmpeg: {}", text);
}

}  // namespace

void FreeMemoryIo::operator()(AVIOContext* p) const {
  if (p != nullptr) av_freep(&p->buffer);  // FFmpeg may have replaced the buffer we gave
  avio_context_free(&p);
}

void AvOptions::set(const std::string& key, const std::string& value) {
  check_av(av_dict_set(&dict_, key.c_str(), value.c_str(), 0), "av_dict_set");
}

void AvOptions::check_all_used(std::string_view what) const {
  const AVDictionaryEntry* left = av_dict_get(dict_, "", nullptr, AV_DICT_IGNORE_SUFFIX);
  if (left != nullptr) {
    fail("{} of this FFmpeg does not know the option {}={}; build with FFmpeg 5.1 or newer", what,
         left->key, left->value);
  }
}

std::string av_error_text(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

int check_av(int code, std::string_view what) {
  if (code >= 0) return code;
  fail("{}: {}{}", what, av_error_text(code),
       code == AVERROR(ENOSPC) ? " (free some, or choose another --output)" : "");
}

FrameHandle make_frame() {
  FrameHandle frame(av_frame_alloc());
  if (!frame) fail("av_frame_alloc: out of memory");
  return frame;
}

FrameHandle make_frame(AVPixelFormat format, int width, int height) {
  FrameHandle frame = make_frame();
  frame->format = format;
  frame->width = width;
  frame->height = height;
  check_av(av_frame_get_buffer(frame.get(), 0), fmt::format("memory for {}x{}", width, height));
  return frame;
}

PacketHandle make_packet() {
  PacketHandle packet(av_packet_alloc());
  if (!packet) fail("av_packet_alloc: out of memory");
  return packet;
}

CodecHandle make_codec_context(const AVCodec* codec) {
  CodecHandle context(avcodec_alloc_context3(codec));
  if (!context) fail("avcodec_alloc_context3: out of memory");
  return context;
}

std::string file_url(const std::filesystem::path& path) { return "file:" + path.string(); }

void route_ffmpeg_log() {
  static std::once_flag done;
  std::call_once(done, [] {
    av_log_set_level(AV_LOG_ERROR);
    av_log_set_callback(log_from_ffmpeg);
  });
}

}  // namespace weft
