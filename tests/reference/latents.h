#pragma once
#include <span>

#include "reference/values.h"

namespace weft::reference {

/// z [C, T, 2h', 2w'] -> [T h' w', (c, i, j)].
inline Values patchify(const Tensor& z) {
  const std::int64_t C = z.dim(0), T = z.dim(1), H = z.dim(2), W = z.dim(3);
  Values y;
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t h = 0; h < H; h += 2) {
      for (std::int64_t w = 0; w < W; w += 2) {
        for (std::int64_t c = 0; c < C; ++c) {
          for (std::int64_t i = 0; i < 2; ++i) {
            for (std::int64_t j = 0; j < 2; ++j) {
              y.push_back(at(z, ((c * T + t) * H + h + i) * W + w + j));
            }
          }
        }
      }
    }
  }
  return y;
}

/// y [T h' w', (i, j, c)] -> z of shape [C, T, H, W].
inline Values unpatchify(const Tensor& y, const Shape& z) {
  const std::int64_t C = z[0], T = z[1], H = z[2], W = z[3];
  Values out;
  for (std::int64_t c = 0; c < C; ++c) {
    for (std::int64_t t = 0; t < T; ++t) {
      for (std::int64_t h = 0; h < H; ++h) {
        for (std::int64_t w = 0; w < W; ++w) {
          const std::int64_t token = (t * (H / 2) + h / 2) * (W / 2) + w / 2;
          out.push_back(at(y, token * 4 * C + (2 * (h % 2) + w % 2) * C + c));
        }
      }
    }
  }
  return out;
}

inline Values add_weighted(const Tensor& sum, const Tensor& v,
                           std::span<const std::int64_t, 3> origin, std::span<const float> wt,
                           std::span<const float> wh, std::span<const float> ww) {
  Values out = values(sum);
  std::int64_t i = 0;
  for (std::int64_t c = 0; c < v.dim(0); ++c) {
    for (std::size_t t = 0; t < wt.size(); ++t) {
      for (std::size_t h = 0; h < wh.size(); ++h) {
        for (std::size_t w = 0; w < ww.size(); ++w, ++i) {
          const std::int64_t frame = c * sum.dim(1) + origin[0] + static_cast<std::int64_t>(t);
          const std::int64_t row = frame * sum.dim(2) + origin[1] + static_cast<std::int64_t>(h);
          const std::int64_t cell = row * sum.dim(3) + origin[2] + static_cast<std::int64_t>(w);
          at(out, cell) += static_cast<double>(wt[t]) * static_cast<double>(wh[h]) *
                           static_cast<double>(ww[w]) * at(v, i);
        }
      }
    }
  }
  return out;
}

inline Values latents_to_video(const Tensor& z, std::span<const float> scale,
                               std::span<const float> shift) {
  const std::int64_t C = z.dim(0), positions = z.numel() / C;
  Values y;
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t c = 0; c < C; ++c) {
      const auto channel = static_cast<std::size_t>(c);
      y.push_back(at(z, c * positions + p) * static_cast<double>(scale[channel]) +
                  static_cast<double>(shift[channel]));
    }
  }
  return y;
}

inline Values video_to_latents(const Tensor& y, std::span<const float> scale,
                               std::span<const float> shift) {
  const std::int64_t positions = y.numel() / y.dim(3);
  Values z;
  for (std::size_t c = 0; c < scale.size(); ++c) {
    for (std::int64_t p = 0; p < positions; ++p) {
      z.push_back(
          (at(y, p * y.dim(3) + static_cast<std::int64_t>(c)) - static_cast<double>(shift[c])) *
          static_cast<double>(scale[c]));
    }
  }
  return z;
}

}  // namespace weft::reference
