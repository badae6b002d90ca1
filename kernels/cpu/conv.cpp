// Convolution as a matrix product whose rows are read in place: channels-last input makes the
// channels under one kernel tap contiguous, and a tap outside the frame reads a row of zeros.
#include <vector>

#include "cpu_ops.h"
#include "gemm.h"

namespace weft::cpu {

void CpuOps::conv(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                  Tensor y) {
  const bool flat = w.shape().rank() == 4;  // [O, C, kh, kw]
  const std::int64_t outputs = w.dim(0);
  const std::int64_t channels = w.dim(1);
  const std::int64_t kt = flat ? 1 : w.dim(2);
  const std::int64_t kh = w.dim(-2);
  const std::int64_t kw = w.dim(-1);
  const std::int64_t frames = x.dim(0);
  const std::int64_t height = x.dim(1);
  const std::int64_t width = x.dim(2);
  const std::int64_t out_frames = (frames - kt) / args.stride_t + 1;
  const std::int64_t out_height =
      (height + args.pad_top + args.pad_bottom - kh) / args.stride_h + 1;
  const std::int64_t out_width = (width + args.pad_left + args.pad_right - kw) / args.stride_w + 1;
  WEFT_ASSERT(x.dim(3) == channels && b.numel() == outputs && frames >= kt &&
                  y.shape() == Shape({out_frames, out_height, out_width, outputs}) &&
                  (!args.residual.defined() || args.residual.shape() == y.shape()),
              "conv: x {}, w {}, b {}, y {}, want y [{}, {}, {}, {}]", x.shape().str(),
              w.shape().str(), b.shape().str(), y.shape().str(), out_frames, out_height, out_width,
              outputs);
  const std::int64_t taps = kt * kh * kw;
  const auto weights = packed_weights(w, outputs, taps, channels, 1, taps, threads_);
  const std::vector<float> zeros(static_cast<std::size_t>(channels));
  const float* input = x.data<float>();

  struct Tap {
    std::int64_t h, w, offset;  // offset: elements from the tap (0, 0, 0)
  };
  std::vector<Tap> tap_at;
  for (std::int64_t t = 0; t < kt; ++t) {
    for (std::int64_t i = 0; i < kh; ++i) {
      for (std::int64_t j = 0; j < kw; ++j) {
        tap_at.push_back({i, j, ((t * height + i) * width + j) * channels});
      }
    }
  }

  const RowPointers pointers = [&, input](std::int64_t row, std::int64_t rows, std::int64_t tap,
                                          std::int64_t count, const float** to) {
    const Tap* first = tap_at.data() + tap;
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t w0 = (row + r) % out_width * args.stride_w - args.pad_left;
      const std::int64_t h0 = (row + r) / out_width % out_height * args.stride_h - args.pad_top;
      const std::int64_t t0 = (row + r) / out_width / out_height * args.stride_t;
      const std::int64_t corner = ((t0 * height + h0) * width + w0) * channels;
      if (0 <= h0 && h0 + kh <= height && 0 <= w0 && w0 + kw <= width) {
        for (std::int64_t s = 0; s < count; ++s)
          to[s * tile_rows + r] = input + (corner + first[s].offset);
        continue;
      }
      for (std::int64_t s = 0; s < count; ++s) {
        const std::int64_t h_in = h0 + first[s].h;
        const std::int64_t w_in = w0 + first[s].w;
        const bool inside = 0 <= h_in && h_in < height && 0 <= w_in && w_in < width;
        to[s * tile_rows + r] = inside ? input + (corner + first[s].offset) : zeros.data();
      }
    }
  };
  multiply_packed(threads_, out_frames * out_height * out_width, pointers, *weights,
                  b.data<float>(), Activation::none, y.data<float>());
  if (args.residual.defined()) add(y, args.residual);
}

}  // namespace weft::cpu
