#include "weft/io/image.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string_view>

extern "C" {
#include <libavutil/base64.h>
}

#include "weft/base/error.h"

#include "frame_convert.h"
#include "image_end.h"
#include "png.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr int most_side = 16384;  // in width and in height
constexpr std::int64_t most_pixels = std::int64_t{1}
                                     << 27U;  // a few hundred bytes may claim as many
constexpr std::uintmax_t most_bytes = std::uintmax_t{1} << 30;
using Bytes = std::vector<std::uint8_t>;

// With the zeros behind it that FFmpeg's bit readers may touch.
Bytes read_padded(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) fail_input("image {}: no such file", path.string());
  if (!fs::is_regular_file(status)) fail_input("image {}: not a regular file", path.string());
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) fail_input("image {}: {}", path.string(), error.message());
  if (size == 0) fail_input("image {}: the file is empty", path.string());
  if (size > most_bytes) fail_input("image {}: {} bytes; more than 1 GiB", path.string(), size);
  Bytes bytes(size + AV_INPUT_BUFFER_PADDING_SIZE, 0);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!file) fail_input("image {}: {}", path.string(), std::strerror(errno));
  return bytes;
}

// The bytes alone say what an image is: no name, no protocol, no demuxer that could open other
// files or the network (playlists) is involved. FFmpeg names its one-picture demuxers "png_pipe"
// and so on.
AVCodecID codec_of(std::span<const std::uint8_t> file, const fs::path& path) {
  // FFmpeg's probe doubts a JPEG that has something behind its end, as phones append short videos.
  if (file.size() >= 3 && file[0] == 0xFF && file[1] == 0xD8 && file[2] == 0xFF) {
    return AV_CODEC_ID_MJPEG;
  }
  AVProbeData probe{};
  probe.filename = "";
  probe.buf = const_cast<std::uint8_t*>(file.data());
  probe.buf_size = static_cast<int>(file.size());
  const AVInputFormat* format = av_probe_input_format(&probe, 1);
  if (format != nullptr && std::string_view(format->name) == "gif") {
    format = av_find_input_format("gif_pipe");
  }
  if (format == nullptr) fail_input("image {}: not an image that FFmpeg knows", path.string());
  const std::string name = format->name;
  if (!name.ends_with("_pipe")) {
    fail_input("image {}: the contents are {}, not a still image such as PNG or JPEG",
               path.string(), name);
  }
  AVFormatContext* opened = avformat_alloc_context();
  if (opened == nullptr) fail("avformat_alloc_context: out of memory");
  const MemoryIoHandle nothing_to_read(avio_alloc_context(
      static_cast<unsigned char*>(av_malloc(1)), 1, 0, nullptr,
      [](void*, std::uint8_t*, int) { return AVERROR_EOF; }, nullptr, nullptr));
  opened->pb = nothing_to_read.get();
  const int result = avformat_open_input(&opened, "", format, nullptr);  // frees it on failure
  if (result < 0) fail_input("image {}: {}", path.string(), av_error_text(result));
  const InputHandle input(opened);
  return input->streams[0]->codecpar->codec_id;
}

const AVCodec* decoder_of(std::span<const std::uint8_t> file, const fs::path& path) {
  const AVCodecID id = codec_of(file, path);
  const AVCodec* codec = avcodec_find_decoder(id);
  if (codec == nullptr) {
    fail_input("image {}: this FFmpeg has no decoder for {}; convert it to PNG", path.string(),
               avcodec_get_name(id));
  }
  return codec;
}

bool is_too_large(int width, int height) {
  return std::max(width, height) > most_side || std::int64_t{width} * height > most_pixels;
}

// Called by the decoder before it allocates a picture.
int refuse_large_pictures(AVCodecContext* context, AVFrame* frame, int flags) {
  if (is_too_large(frame->width, frame->height)) {
    *static_cast<bool*>(context->opaque) = true;
    return AVERROR(ERANGE);
  }
  return avcodec_default_get_buffer2(context, frame, flags);
}

FrameHandle decode(const AVCodec* codec, Bytes& padded, const fs::path& path) {
  bool too_large = false;
  const CodecHandle context = make_codec_context(codec);
  context->thread_count = 1;
  context->idct_algo = FF_IDCT_INT;  // libjpeg's own, the same on every processor
  context->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER;
  context->opaque = &too_large;
  context->get_buffer2 = refuse_large_pictures;
  const PacketHandle packet = make_packet();
  packet->data = padded.data();
  packet->size = static_cast<int>(padded.size() - AV_INPUT_BUFFER_PADDING_SIZE);
  FrameHandle frame = make_frame();
  int result = avcodec_open2(context.get(), codec, nullptr);
  if (result >= 0) result = avcodec_send_packet(context.get(), packet.get());
  if (result >= 0) result = avcodec_send_packet(context.get(), nullptr);
  if (result >= 0) result = avcodec_receive_frame(context.get(), frame.get());
  if (too_large || is_too_large(context->width, context->height)) {
    fail_input("image {}: {}x{} pixels; a side may have {} at most, all of it {}; scale it down",
               path.string(), context->width, context->height, most_side, most_pixels);
  }
  if (result < 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0) {
    fail_input("image {}: truncated, damaged or far too large {} ({})", path.string(), codec->name,
               result < 0 ? av_error_text(result) : "decoding errors");
  }
  return frame;
}

}  // namespace

Image read_image(const fs::path& path) {
  route_ffmpeg_log();
  Bytes padded = read_padded(path);
  const std::span<const std::uint8_t> file(padded.data(),
                                           padded.size() - AV_INPUT_BUFFER_PADDING_SIZE);
  const AVCodec* codec = decoder_of(file, path);
  if (!has_its_end(codec->id, {reinterpret_cast<const char*>(file.data()), file.size()})) {
    fail_input("image {}: truncated {}: its end is missing", path.string(), codec->name);
  }
  const FrameHandle frame = decode(codec, padded, path);
  return image_from_frame(*frame);
}

void write_png(const fs::path& path, const Image& image) {
  WEFT_ASSERT(image.width > 0 && image.height > 0, "a PNG of {}x{}", image.width, image.height);
  PngWriter(static_cast<int>(image.width), static_cast<int>(image.height)).write(path, image.rgb);
}

std::string png_data_uri(const Image& image) {
  PngWriter png(static_cast<int>(image.width), static_cast<int>(image.height));
  const auto bytes = png.encode(image.rgb);
  std::string text(AV_BASE64_SIZE(bytes.size()), '\0');  // its size counts the end of a C string
  WEFT_ASSERT(av_base64_encode(text.data(), static_cast<int>(text.size()), bytes.data(),
                               static_cast<int>(bytes.size())) != nullptr,
              "no base64 of {} bytes", bytes.size());
  text.pop_back();
  return "data:image/png;base64," + text;
}

}  // namespace weft
