#include "chroma_upsample.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace weft {
namespace {

// The weights along x, in quarters of `unit`, with libjpeg's two roundings in turn: always rounding
// up would brighten. in: [width], out: [out_width], out_width = 2 width or 2 width - 1.
void upsample_row(const std::vector<int>& in, std::uint8_t* out, int out_width, int unit) {
  const int last = static_cast<int>(in.size()) - 1;
  const int round_left = unit == 1 ? 1 : 8, round_right = unit == 1 ? 2 : 7;
  const int shift = unit == 1 ? 2 : 4;
  for (int x = 0; x < out_width; ++x) {
    const bool left = x % 2 == 0;
    const int near = x / 2;
    const int far = std::clamp(left ? near - 1 : near + 1, 0, last);
    const int sum = 3 * in[static_cast<std::size_t>(near)] + in[static_cast<std::size_t>(far)];
    out[x] = static_cast<std::uint8_t>((sum + (left ? round_left : round_right)) >> shift);
  }
}

void upsample_plane(const std::uint8_t* in, int in_stride, AVFrame& out, int plane, bool rows_too) {
  const int in_width = (out.width + 1) / 2;
  const int in_last_row = rows_too ? (out.height + 1) / 2 - 1 : out.height - 1;
  std::vector<int> sums(static_cast<std::size_t>(in_width));
  for (int y = 0; y < out.height; ++y) {
    const int near = rows_too ? y / 2 : y;
    const int far = std::clamp(y % 2 == 0 ? near - 1 : near + 1, 0, in_last_row);
    const std::uint8_t* near_row = in + std::ptrdiff_t{near} * in_stride;
    const std::uint8_t* far_row = in + std::ptrdiff_t{far} * in_stride;
    for (int x = 0; x < in_width; ++x) {
      sums[static_cast<std::size_t>(x)] = rows_too ? 3 * near_row[x] + far_row[x] : near_row[x];
    }
    upsample_row(sums, out.data[plane] + std::ptrdiff_t{y} * out.linesize[plane], out.width,
                 rows_too ? 4 : 1);
  }
}

}  // namespace

bool has_centred_half_chroma(const AVFrame& frame) {
  const auto* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  return format->nb_components >= 3 && (format->flags & AV_PIX_FMT_FLAG_PLANAR) != 0 &&
         (format->flags & AV_PIX_FMT_FLAG_RGB) == 0 && format->comp[0].depth == 8 &&
         format->comp[1].step == 1 && format->log2_chroma_w == 1 && format->log2_chroma_h <= 1 &&
         frame.chroma_location != AVCHROMA_LOC_LEFT;
}

FrameHandle with_full_chroma(const AVFrame& frame) {
  const auto* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  const bool full_range = std::strncmp(format->name, "yuvj", 4) == 0;
  FrameHandle out =
      make_frame(full_range ? AV_PIX_FMT_YUVJ444P : AV_PIX_FMT_YUV444P, frame.width, frame.height);
  check_av(av_frame_copy_props(out.get(), &frame), "av_frame_copy_props");
  for (int y = 0; y < frame.height; ++y) {
    std::memcpy(out->data[0] + std::ptrdiff_t{y} * out->linesize[0],
                frame.data[0] + std::ptrdiff_t{y} * frame.linesize[0],
                static_cast<std::size_t>(frame.width));
  }
  for (const int plane : {1, 2}) {
    upsample_plane(frame.data[plane], frame.linesize[plane], *out, plane,
                   format->log2_chroma_h == 1);
  }
  return out;
}

}  // namespace weft
