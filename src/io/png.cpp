#include "png.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "weft/base/error.h"
#include "weft/io/atomic_file.h"

namespace weft {
namespace {

// `name` is what the user asked for; `path` its temporary.
void write_bytes(const std::filesystem::path& path, std::span<const std::uint8_t> bytes,
                 const std::string& name) {
  constexpr mode_t permissions = 0666;  // less the umask, as for any other file
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, permissions);
  if (file < 0) fail("cannot create {}: {}", name, std::strerror(errno));
  int error = 0;
  while (!bytes.empty() && error == 0) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (::close(file) != 0 && error == 0) error = errno;
  if (error != 0) check_av(AVERROR(error), "writing " + name);
}

}  // namespace

PngWriter::PngWriter(int width, int height)
    : frame_(make_frame(AV_PIX_FMT_RGB24, width, height)), packet_(make_packet()) {
  route_ffmpeg_log();
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
  if (codec == nullptr) fail("this FFmpeg was built without its PNG encoder");
  codec_ = make_codec_context(codec);
  codec_->width = width;
  codec_->height = height;
  codec_->pix_fmt = AV_PIX_FMT_RGB24;
  codec_->time_base = {1, 1};
  codec_->thread_count = 1;
  codec_->flags |= AV_CODEC_FLAG_BITEXACT;
  AvOptions options;
  options.set("pred", "mixed");  // the best filter per row: files about half the size
  check_av(avcodec_open2(codec_.get(), codec, options.get()), "PNG encoder");
  options.check_all_used("the PNG encoder");
}

std::span<const std::uint8_t> PngWriter::encode(std::span<const std::uint8_t> rgb) {
  const auto row_bytes = static_cast<std::size_t>(frame_->width) * 3;
  WEFT_ASSERT(rgb.size() == row_bytes * static_cast<std::size_t>(frame_->height),
              "a picture of {} bytes for {}x{}", rgb.size(), frame_->width, frame_->height);
  check_av(av_frame_make_writable(frame_.get()), "av_frame_make_writable");
  for (int y = 0; y < frame_->height; ++y) {
    std::memcpy(frame_->data[0] + std::ptrdiff_t{y} * frame_->linesize[0],
                rgb.data() + static_cast<std::size_t>(y) * row_bytes, row_bytes);
  }
  av_packet_unref(packet_.get());
  check_av(avcodec_send_frame(codec_.get(), frame_.get()), "encoding a PNG");
  check_av(avcodec_receive_packet(codec_.get(), packet_.get()), "encoding a PNG");
  return {packet_->data, static_cast<std::size_t>(packet_->size)};
}

void PngWriter::write(const std::filesystem::path& path, std::span<const std::uint8_t> rgb) {
  const ScopedContext doing(path.string());
  const auto bytes = encode(rgb);
  AtomicPath file(path);
  write_bytes(file.temporary(), bytes, path.string());
  file.commit();
}

}  // namespace weft
