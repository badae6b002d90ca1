#include "weft/io/video_reader.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <cctype>

#include "weft/base/error.h"

#include "ffmpeg_handles.h"
#include "frame_convert.h"

namespace weft {
namespace {

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

std::map<std::string, std::string> metadata_of(const AVDictionary* dict) {
  std::map<std::string, std::string> metadata;
  const AVDictionaryEntry* entry = nullptr;
  while ((entry = av_dict_get(dict, "", entry, AV_DICT_IGNORE_SUFFIX)) != nullptr) {
    std::string key = entry->key;
    std::transform(key.begin(), key.end(), key.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    metadata[key] = entry->value;
  }
  return metadata;
}

}  // namespace

struct VideoReader::State {
  std::filesystem::path path;
  InputHandle input;
  CodecHandle codec;
  PacketHandle packet = make_packet();
  FrameHandle frame = make_frame();
  int stream = 0;
  VideoInfo info;

  int check(int code, const char* what) const {
    if (code < 0) fail_input("video {}: {}: {}", path.string(), what, av_error_text(code));
    return code;
  }
  void open();
  void read_info();
  void feed();
};

void VideoReader::State::open() {
  AVFormatContext* opened = nullptr;
  AvOptions options;
  options.set("protocol_whitelist", "file");  // a playlist must not reach for the network
  check(avformat_open_input(&opened, file_url(path).c_str(), nullptr, options.get()), "open");
  input.reset(opened);
  check(avformat_find_stream_info(opened, nullptr), "streams");
  const AVCodec* decoder = nullptr;
  stream = check(av_find_best_stream(opened, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0), "video");
  codec = make_codec_context(decoder);
  check(avcodec_parameters_to_context(codec.get(), opened->streams[stream]->codecpar), "stream");
  check(avcodec_open2(codec.get(), decoder, nullptr), decoder->name);
}

void VideoReader::State::read_info() {
  const AVStream& video = *input->streams[stream];
  info.width = codec->width;
  info.height = codec->height;
  info.fps = video.avg_frame_rate.den == 0 ? 0 : av_q2d(video.avg_frame_rate);
  if (input->duration > 0) info.seconds = static_cast<double>(input->duration) / AV_TIME_BASE;
  info.codec = avcodec_get_name(codec->codec_id);
  info.pix_fmt = text_or_empty(av_get_pix_fmt_name(codec->pix_fmt));
  info.matrix = text_or_empty(av_color_space_name(codec->colorspace));
  info.range = text_or_empty(av_color_range_name(codec->color_range));
  info.metadata = metadata_of(input->metadata);
}

// One packet of the video stream, or the end, to the decoder.
void VideoReader::State::feed() {
  for (;;) {
    av_packet_unref(packet.get());
    const int result = av_read_frame(input.get(), packet.get());
    if (result == AVERROR_EOF) {
      check(avcodec_send_packet(codec.get(), nullptr), "decoder");
      return;
    }
    check(result, "read");
    if (packet->stream_index == stream) {
      check(avcodec_send_packet(codec.get(), packet.get()), "decoder");
      return;
    }
  }
}

VideoReader::VideoReader(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  route_ffmpeg_log();
  state_->path = path;
  state_->open();
  state_->read_info();
}

VideoReader::~VideoReader() = default;

const VideoInfo& VideoReader::info() const { return state_->info; }

std::optional<Image> VideoReader::next() {
  for (;;) {
    const int result = avcodec_receive_frame(state_->codec.get(), state_->frame.get());
    if (result == AVERROR_EOF) return std::nullopt;
    if (result == AVERROR(EAGAIN)) {
      state_->feed();
      continue;
    }
    state_->check(result, "decoder");
    AVFrame& frame = *state_->frame;
    // The rule for video, where JPEG's is centred; Y4M does not say for 4:2:2.
    if (frame.chroma_location == AVCHROMA_LOC_UNSPECIFIED)
      frame.chroma_location = AVCHROMA_LOC_LEFT;
    if (frame.colorspace == AVCOL_SPC_UNSPECIFIED) frame.colorspace = AVCOL_SPC_BT709;
    return image_from_frame(frame);
  }
}

}  // namespace weft
