#include "frame_convert.h"

extern "C" {
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

#include <array>
#include <cstring>

#include "weft/base/error.h"

#include "chroma_upsample.h"

namespace weft {
namespace {

// The same bytes on every processor, and no short cuts in the chroma planes.
constexpr int scaler_flags =
    SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;

bool is_yuv(const AVPixFmtDescriptor& format) {
  return (format.flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) == 0 &&
         format.nb_components >= 3;
}

ScalerHandle allocate_scaler(const AVFrame& from, const AVFrame& to, int flags) {
  ScalerHandle scaler(sws_alloc_context());
  if (!scaler) fail("sws_alloc_context: out of memory");
  const auto set = [&](const char* name, int value) {
    check_av(av_opt_set_int(scaler.get(), name, value, 0), name);
  };
  set("srcw", from.width);
  set("srch", from.height);
  set("src_format", from.format);
  set("dstw", to.width);
  set("dsth", to.height);
  set("dst_format", to.format);
  set("sws_flags", flags);
  return scaler;
}

void init_scaler(SwsContext* scaler, const AVFrame& from, const AVFrame& to) {
  check_av(sws_init_context(scaler, nullptr, nullptr),
           fmt::format("conversion from {} to {}",
                       av_get_pix_fmt_name(static_cast<AVPixelFormat>(from.format)),
                       av_get_pix_fmt_name(static_cast<AVPixelFormat>(to.format))));
}

void set_matrices(SwsContext* scaler, int from_matrix, int from_range, int to_matrix,
                  int to_range) {
  constexpr int neutral_brightness = 0, neutral_contrast = 1 << 16, neutral_saturation = 1 << 16;
  check_av(sws_setColorspaceDetails(scaler, sws_getCoefficients(from_matrix), from_range,
                                    sws_getCoefficients(to_matrix), to_range, neutral_brightness,
                                    neutral_contrast, neutral_saturation),
           "sws_setColorspaceDetails");
}

// rgb: [height, width, 3], rows without padding.
void copy_rows(const AVFrame& rgb24, Image& image) {
  const auto row_bytes = static_cast<std::size_t>(image.width) * 3;
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::memcpy(image.rgb.data() + static_cast<std::size_t>(y) * row_bytes,
                rgb24.data[0] + y * rgb24.linesize[0], row_bytes);
  }
}

Image from_yuv(const AVFrame& frame) {
  const FrameHandle rgb = make_frame(AV_PIX_FMT_RGB24, frame.width, frame.height);
  ScalerHandle scaler = allocate_scaler(frame, *rgb, SWS_BILINEAR | scaler_flags);
  const auto* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  if (format->log2_chroma_w == 1 && frame.chroma_location == AVCHROMA_LOC_LEFT) {
    check_av(av_opt_set_int(scaler.get(), "src_h_chr_pos", 0, 0), "src_h_chr_pos");
  }
  init_scaler(scaler.get(), frame, *rgb);
  const bool full_range =
      frame.color_range == AVCOL_RANGE_JPEG || std::strncmp(format->name, "yuvj", 4) == 0;
  set_matrices(scaler.get(), frame.colorspace, full_range ? 1 : 0, SWS_CS_DEFAULT, 1);
  check_av(sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, rgb->data,
                     rgb->linesize),
           "sws_scale");
  Image image{frame.width, frame.height, {}};
  image.rgb.resize(static_cast<std::size_t>(frame.width) * frame.height * 3);
  copy_rows(*rgb, image);
  return image;
}

Image from_palette(const AVFrame& frame) {
  Image image{frame.width, frame.height, {}};
  image.rgb.reserve(static_cast<std::size_t>(frame.width) * frame.height * 3);
  for (int y = 0; y < frame.height; ++y) {
    const std::uint8_t* row = frame.data[0] + std::ptrdiff_t{y} * frame.linesize[0];
    for (int x = 0; x < frame.width; ++x) {
      std::uint32_t argb = 0;  // the palette holds native 32-bit words
      std::memcpy(&argb, frame.data[1] + std::size_t{row[x]} * 4, 4);
      for (const int shift : {16, 8, 0}) {
        image.rgb.push_back(static_cast<std::uint8_t>(argb >> shift));
      }
    }
  }
  return image;
}

std::uint8_t to_8_bits(unsigned value, int depth) {
  if (depth >= 8) return static_cast<std::uint8_t>(value >> (depth - 8));
  return static_cast<std::uint8_t>(value * 255 / ((1U << depth) - 1));
}

// RGB and grey of any layout and depth. swscale would take the way through YUV, which loses bits.
Image from_components(const AVFrame& frame, const AVPixFmtDescriptor& format) {
  Image image{frame.width, frame.height, {}};
  image.rgb.resize(static_cast<std::size_t>(frame.width) * frame.height * 3);
  const bool grey = format.nb_components <= 2;
  const bool zero_is_white = frame.format == AV_PIX_FMT_MONOWHITE;
  std::vector<std::uint16_t> line(static_cast<std::size_t>(frame.width));
  const std::array<const std::uint8_t*, 4> planes{frame.data[0], frame.data[1], frame.data[2],
                                                  frame.data[3]};
  std::uint8_t* row = image.rgb.data();
  for (int y = 0; y < frame.height; ++y, row += std::size_t{3} * line.size()) {
    for (int c = 0; c < 3; ++c) {
      const int component = grey ? 0 : c;
      av_read_image_line2(line.data(), const_cast<const std::uint8_t**>(planes.data()),
                          frame.linesize, &format, 0, y, component, frame.width, 0,
                          sizeof(line[0]));
      for (std::size_t x = 0; x < line.size(); ++x) {
        const std::uint8_t value = to_8_bits(line[x], format.comp[component].depth);
        row[3 * x + static_cast<std::size_t>(c)] =
            zero_is_white ? static_cast<std::uint8_t>(255 - value) : value;
      }
    }
  }
  return image;
}

}  // namespace

RgbToFrame::RgbToFrame(AVPixelFormat format, int width, int height)
    : source_(make_frame(AV_PIX_FMT_RGB24, width, height)),
      target_(make_frame(format, width, height)),
      scaler_(allocate_scaler(*source_, *target_, SWS_BICUBIC | scaler_flags)) {
  const auto& description = *av_pix_fmt_desc_get(format);
  const bool yuv = is_yuv(description);
  if (yuv && description.log2_chroma_w == 1) {
    check_av(av_opt_set_int(scaler_.get(), "dst_h_chr_pos", 0, 0), "dst_h_chr_pos");
  }
  init_scaler(scaler_.get(), *source_, *target_);
  if (yuv) set_matrices(scaler_.get(), SWS_CS_ITU709, 1, SWS_CS_ITU709, 0);
}

AVFrame* RgbToFrame::convert(std::span<const std::uint8_t> rgb) {
  const auto row_bytes = static_cast<std::size_t>(source_->width) * 3;
  WEFT_ASSERT(rgb.size() == row_bytes * static_cast<std::size_t>(source_->height),
              "a frame of {} bytes for {}x{}", rgb.size(), source_->width, source_->height);
  for (int y = 0; y < source_->height; ++y) {
    std::memcpy(source_->data[0] + std::ptrdiff_t{y} * source_->linesize[0],
                rgb.data() + static_cast<std::size_t>(y) * row_bytes, row_bytes);
  }
  check_av(av_frame_make_writable(target_.get()), "av_frame_make_writable");
  check_av(sws_scale(scaler_.get(), source_->data, source_->linesize, 0, source_->height,
                     target_->data, target_->linesize),
           "sws_scale");
  return target_.get();
}

Image image_from_frame(const AVFrame& frame) {
  const auto* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  if (format == nullptr) fail("FFmpeg decoded to an unknown pixel format, {}", frame.format);
  if (frame.format == AV_PIX_FMT_PAL8) return from_palette(frame);
  const bool floats = (format->flags & AV_PIX_FMT_FLAG_FLOAT) != 0;
  if (has_centred_half_chroma(frame)) return from_yuv(*with_full_chroma(frame));
  if (is_yuv(*format) || floats) return from_yuv(frame);
  return from_components(frame, *format);
}

}  // namespace weft
