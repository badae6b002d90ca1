#include "muxed_video.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>

namespace weft {
namespace {

// x264 and the FFV1 slices divide the work by these numbers, and so does the result: they must not
// come from the machine.
constexpr int x264_threads = 8;
constexpr int ffv1_slices = 4, smallest_sliced_side = 32;
constexpr int longest_denominator = 1001000;  // exact for 24000/1001 and for 23.976

struct Coding {
  const AVCodec* codec;
  AVPixelFormat format;
};

Coding coding_of(Container container, const VideoOptions& options) {
  const AVPixelFormat yuv = av_get_pix_fmt(options.pix_fmt.c_str());
  // The Y4M muxer takes frames as they are.
  if (container == Container::y4m) return {avcodec_find_encoder(AV_CODEC_ID_WRAPPED_AVFRAME), yuv};
  if (options.codec == "ffv1") return {avcodec_find_encoder(AV_CODEC_ID_FFV1), AV_PIX_FMT_BGR0};
  return {avcodec_find_encoder_by_name("libx264"), yuv};
}

void set_codec_options(AvOptions& codec_options, AVCodecContext& codec,
                       const VideoOptions& options) {
  codec.thread_count = 1;
  if (codec.codec_id == AV_CODEC_ID_H264) {
    codec.thread_count = x264_threads;
    codec.thread_type = FF_THREAD_FRAME;
    codec_options.set("preset", options.preset);
    codec_options.set("crf", std::to_string(options.crf));
    codec_options.set("x264-params", "cpu-independent=1");
  } else if (codec.codec_id == AV_CODEC_ID_FFV1) {
    const bool small = std::min(codec.width, codec.height) < smallest_sliced_side;
    codec.level = small ? 1 : 3;  // level 3 has slices with checksums, and loses one-pixel sides
    if (!small) {
      codec_options.set("slices", std::to_string(ffv1_slices));
      codec_options.set("slicecrc", "1");
    }
    codec.gop_size = 1;
    codec_options.set("coder", "range_def");
  }
}

void set_colours(AVCodecContext& codec, AVFrame& frame) {
  const bool yuv = codec.pix_fmt != AV_PIX_FMT_BGR0;
  codec.color_primaries = AVCOL_PRI_BT709;
  codec.color_trc = yuv ? AVCOL_TRC_BT709 : AVCOL_TRC_IEC61966_2_1;
  codec.colorspace = yuv ? AVCOL_SPC_BT709 : AVCOL_SPC_RGB;
  codec.color_range = yuv ? AVCOL_RANGE_MPEG : AVCOL_RANGE_JPEG;
  codec.chroma_sample_location = yuv ? AVCHROMA_LOC_LEFT : AVCHROMA_LOC_UNSPECIFIED;
  frame.color_primaries = codec.color_primaries;
  frame.color_trc = codec.color_trc;
  frame.colorspace = codec.colorspace;
  frame.color_range = codec.color_range;
  frame.chroma_location = codec.chroma_sample_location;
}

}  // namespace

MuxedVideo::MuxedVideo(const std::filesystem::path& path, Container container,
                       const VideoOptions& options)
    : file_(path), packet_(make_packet()) {
  route_ffmpeg_log();
  open_codec(container, options);
  open_file(container, options);
}

void MuxedVideo::open_codec(Container container, const VideoOptions& options) {
  AVFormatContext* muxer = nullptr;
  check(avformat_alloc_output_context2(&muxer, nullptr, muxer_of(container),
                                       file_url(file_.temporary()).c_str()),
        "muxer");
  muxer_.reset(muxer);
  const Coding coding = coding_of(container, options);
  WEFT_ASSERT(coding.codec != nullptr, "check_video_output found the encoder of {}",
              file_.final_path().string());
  codec_ = make_codec_context(coding.codec);
  codec_->width = static_cast<int>(options.width);
  codec_->height = static_cast<int>(options.height);
  codec_->pix_fmt = coding.format;
  codec_->framerate = av_d2q(options.fps, longest_denominator);
  codec_->time_base = av_inv_q(codec_->framerate);
  codec_->sample_aspect_ratio = {1, 1};
  codec_->flags |= AV_CODEC_FLAG_BITEXACT;
  if ((muxer->oformat->flags & AVFMT_GLOBALHEADER) != 0) {
    codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  }
  convert_ = std::make_unique<RgbToFrame>(coding.format, codec_->width, codec_->height);
  set_colours(*codec_, convert_->frame());
  AvOptions codec_options;
  set_codec_options(codec_options, *codec_, options);
  check(avcodec_open2(codec_.get(), coding.codec, codec_options.get()), coding.codec->name);
  codec_options.check_all_used(coding.codec->name);
}

void MuxedVideo::open_file(Container container, const VideoOptions& options) {
  stream_ = avformat_new_stream(muxer_.get(), nullptr);
  if (stream_ == nullptr) fail("avformat_new_stream: out of memory");
  check(avcodec_parameters_from_context(stream_->codecpar, codec_.get()), "stream parameters");
  stream_->time_base = codec_->time_base;
  stream_->avg_frame_rate = codec_->framerate;
  stream_->r_frame_rate = codec_->framerate;
  stream_->sample_aspect_ratio = codec_->sample_aspect_ratio;
  muxer_->flags |= AVFMT_FLAG_BITEXACT;  // no creation time, no random ids

  AVIOContext* io = nullptr;
  check(avio_open(&io, muxer_->url, AVIO_FLAG_WRITE), "cannot create the file");
  io_.reset(io);
  muxer_->pb = io;
  AvOptions muxer_options;
  if (container == Container::mp4 || container == Container::mov) {
    muxer_options.set("movflags", "+faststart+use_metadata_tags");
  }
  check(avformat_init_output(muxer_.get(), muxer_options.get()), "muxer");
  muxer_options.check_all_used(muxer_of(container));
  // After the initialisation, which would delete a key named "encoder".
  for (const auto& [key, value] : options.metadata) {
    check(av_dict_set(&muxer_->metadata, key.c_str(), value.c_str(), 0), "metadata");
  }
  check(avformat_write_header(muxer_.get(), nullptr), "header");
}

int MuxedVideo::check(int code, const char* what) const {
  return check_av(code, fmt::format("writing {}: {}", file_.final_path().string(), what));
}

void MuxedVideo::encode(const AVFrame* frame) {
  check(avcodec_send_frame(codec_.get(), frame), "encoder");
  for (;;) {
    const int result = avcodec_receive_packet(codec_.get(), packet_.get());
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
    check(result, "encoder");
    av_packet_rescale_ts(packet_.get(), codec_->time_base, stream_->time_base);
    packet_->stream_index = stream_->index;
    check(av_interleaved_write_frame(muxer_.get(), packet_.get()), "packet");
    check(io_->error, "packet");
  }
}

void MuxedVideo::write(std::span<const std::uint8_t> rgb) {
  WEFT_ASSERT(!finished_, "a frame after finish()");
  AVFrame* frame = convert_->convert(rgb);
  frame->pts = frames_++;
  encode(frame);
}

void MuxedVideo::finish() {
  WEFT_ASSERT(!finished_, "finish() called twice");
  finished_ = true;
  if (frames_ == 0) fail("{}: no frame was written", file_.final_path().string());
  encode(nullptr);
  check(av_write_trailer(muxer_.get()), "trailer");
  avio_flush(io_.get());
  check(io_->error, "last bytes");
  muxer_->pb = nullptr;
  AVIOContext* io = io_.release();
  check(avio_closep(&io), "closing the file");
  file_.commit();
}

}  // namespace weft
