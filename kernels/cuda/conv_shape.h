#pragma once
// The sizes of one convolution, by name, for all the ways to compute it.

#include "weft/ops/ops.h"

namespace weft::cuda {

struct ConvShape {
  std::int64_t frames, height, width, channels;    // x [frames, height, width, channels]
  std::int64_t outputs, kt, kh, kw;                // w [outputs, channels, kt, kh, kw]
  std::int64_t out_frames, out_height, out_width;  // y [out_frames, out_height, out_width, outputs]

  [[nodiscard]] std::int64_t taps() const { return kt * kh * kw; }
  [[nodiscard]] std::int64_t positions() const { return out_frames * out_height * out_width; }
  /// Elements from one row of prepared weights (and of gathered patches) to the next: taps x
  /// channels, rounded up so that every row of bf16 starts on 16 bytes, as tensor cores want it.
  [[nodiscard]] std::int64_t row_length() const { return (taps() * channels + 7) / 8 * 8; }
  [[nodiscard]] Shape output() const { return {out_frames, out_height, out_width, outputs}; }
};

inline ConvShape conv_shape(const Shape& x, const Shape& w, const ConvArgs& args) {
  ConvShape s{};
  s.frames = x[0];
  s.height = x[1];
  s.width = x[2];
  s.channels = w[1];
  s.outputs = w[0];
  s.kt = w.rank() == 5 ? w[2] : 1;
  s.kh = w[-2];
  s.kw = w[-1];
  s.out_frames = (s.frames - s.kt) / args.stride_t + 1;
  s.out_height = (s.height + args.pad_top + args.pad_bottom - s.kh) / args.stride_h + 1;
  s.out_width = (s.width + args.pad_left + args.pad_right - s.kw) / args.stride_w + 1;
  return s;
}

/// A size, stride or padding as kernels and their 32-bit arithmetic take it.
inline int to_int(std::int64_t value) {
  WEFT_ASSERT(value >= 0 && value <= INT32_MAX, "{} does not fit 31 bits", value);
  return static_cast<int>(value);
}

/// Whether the first element lies on a multiple of `bytes` (16 for the widest access).
inline bool is_aligned(const Tensor& t, std::uintptr_t bytes) {
  return reinterpret_cast<std::uintptr_t>(t.raw()) % bytes == 0;
}

}  // namespace weft::cuda
