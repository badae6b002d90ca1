#pragma once
#include "weft/ops/ops.h"

#include "reference/values.h"

namespace weft::reference {

/// x [T, H, W, C], w [O, C, kt, kh, kw]; `y` is the output's shape.
inline Values conv(const Tensor& x, const Tensor& w, const Tensor& b, const ConvArgs& args,
                   const Shape& y) {
  const std::int64_t T = x.dim(0), H = x.dim(1), W = x.dim(2), C = x.dim(3), O = w.dim(0);
  const std::int64_t kt = w.shape().rank() == 5 ? w.dim(2) : 1, kh = w.dim(-2), kw = w.dim(-1);
  const float* input = x.data<float>();
  const float* weight = w.data<float>();
  Values out;
  for (std::int64_t t = 0; t < y[0]; ++t) {
    for (std::int64_t h = 0; h < y[1]; ++h) {
      for (std::int64_t v = 0; v < y[2]; ++v) {
        for (std::int64_t o = 0; o < O; ++o) {
          double sum = at(b, o);
          for (std::int64_t i = 0; i < kt * kh * kw; ++i) {
            const std::int64_t t_in = t * args.stride_t + i / (kh * kw);
            const std::int64_t h_in = h * args.stride_h + i / kw % kh - args.pad_top;
            const std::int64_t w_in = v * args.stride_w + i % kw - args.pad_left;
            if (t_in >= T || h_in < 0 || h_in >= H || w_in < 0 || w_in >= W) continue;
            for (std::int64_t c = 0; c < C; ++c) {
              sum += static_cast<double>(input[((t_in * H + h_in) * W + w_in) * C + c]) *
                     static_cast<double>(weight[(o * C + c) * kt * kh * kw + i]);
            }
          }
          const auto index = static_cast<std::int64_t>(out.size());
          out.push_back(args.residual.defined() ? sum + at(args.residual, index) : sum);
        }
      }
    }
  }
  return out;
}

}  // namespace weft::reference
