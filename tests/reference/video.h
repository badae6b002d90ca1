#pragma once
// Written from reference pictures of the operations (repeat, reshape, transpose), not from the
// index formulas that the kernels use.
#include "reference/values.h"

namespace weft::reference {

inline Values upsample2x(const Tensor& x) {
  const std::int64_t T = x.dim(0), H = x.dim(1), W = x.dim(2), C = x.dim(3);
  Values y;
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t h = 0; h < 2 * H; ++h) {
      for (std::int64_t w = 0; w < 2 * W; ++w) {
        for (std::int64_t c = 0; c < C; ++c)
          y.push_back(at(x, ((t * H + h / 2) * W + w / 2) * C + c));
      }
    }
  }
  return y;
}

inline Values channels_to_frames(const Tensor& x) {
  const std::int64_t T = x.dim(0), positions = x.dim(1) * x.dim(2), C = x.dim(3) / 2;
  Values y;
  for (std::int64_t frame = 0; frame < 2 * T; ++frame) {
    for (std::int64_t p = 0; p < positions; ++p) {
      for (std::int64_t c = 0; c < C; ++c) {
        y.push_back(at(x, (frame / 2 * positions + p) * 2 * C + frame % 2 * C + c));
      }
    }
  }
  return y;
}

/// y + Dup(x): every channel repeated, the channels seen as (o, a, b, e), (a, b, e) moved to
/// frame, row and column.
inline Values add_dup_up(const Tensor& x, std::int64_t ft, std::int64_t drop_first,
                         const Tensor& y) {
  const std::int64_t T = x.dim(0), H = x.dim(1), W = x.dim(2), C = x.dim(3), O = y.dim(3);
  const std::int64_t repeats = O * ft * 4 / C;
  Values out = values(y);
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t h = 0; h < H; ++h) {
      for (std::int64_t w = 0; w < W; ++w) {
        std::vector<double> repeated;  // (o, a, b, e)
        for (std::int64_t c = 0; c < C; ++c) {
          repeated.insert(repeated.end(), static_cast<std::size_t>(repeats),
                          at(x, ((t * H + h) * W + w) * C + c));
        }
        std::size_t i = 0;
        for (std::int64_t o = 0; o < O; ++o) {
          for (std::int64_t a = 0; a < ft; ++a) {
            for (std::int64_t b = 0; b < 2; ++b) {
              for (std::int64_t e = 0; e < 2; ++e, ++i) {
                const std::int64_t frame = t * ft + a - drop_first;
                if (frame < 0) continue;
                at(out, ((frame * 2 * H + 2 * h + b) * 2 * W + 2 * w + e) * O + o) += repeated[i];
              }
            }
          }
        }
      }
    }
  }
  return out;
}

/// y + Avg(x): channels, then sub-positions (a, b, e), in one list per output position; means of
/// equal groups of the list.
inline Values add_avg_down(const Tensor& x, std::int64_t ft, const Tensor& y) {
  const std::int64_t T = x.dim(0), H = x.dim(1), W = x.dim(2), C = x.dim(3), O = y.dim(3);
  const std::int64_t front = T % ft;  // one zero frame before an odd first chunk
  Values out = values(y);
  for (std::int64_t t = 0; t < y.dim(0); ++t) {
    for (std::int64_t h = 0; h < H / 2; ++h) {
      for (std::int64_t w = 0; w < W / 2; ++w) {
        std::vector<double> list;
        for (std::int64_t c = 0; c < C; ++c) {
          for (std::int64_t a = 0; a < ft; ++a) {
            for (std::int64_t b = 0; b < 2; ++b) {
              for (std::int64_t e = 0; e < 2; ++e) {
                const std::int64_t frame = t * ft + a - front;
                list.push_back(
                    frame < 0 ? 0 : at(x, ((frame * H + 2 * h + b) * W + 2 * w + e) * C + c));
              }
            }
          }
        }
        const std::size_t group = list.size() / static_cast<std::size_t>(O);
        for (std::size_t i = 0; i < list.size(); ++i) {
          at(out, ((t * (H / 2) + h) * (W / 2) + w) * O + static_cast<std::int64_t>(i / group)) +=
              list[i] / static_cast<double>(group);
        }
      }
    }
  }
  return out;
}

/// The video x of shape [T, p h, p w, C] as [T, h, w, (c, column in patch, row in patch)].
inline Values pixel_patchify(const Tensor& x, std::int64_t p) {
  const std::int64_t T = x.dim(0), H = x.dim(1), W = x.dim(2), C = x.dim(3);
  Values y;
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t h = 0; h < H; h += p) {
      for (std::int64_t w = 0; w < W; w += p) {
        for (std::int64_t c = 0; c < C; ++c) {
          for (std::int64_t column = 0; column < p; ++column) {
            for (std::int64_t row = 0; row < p; ++row) {
              y.push_back(at(x, ((t * H + h + row) * W + w + column) * C + c));
            }
          }
        }
      }
    }
  }
  return y;
}

}  // namespace weft::reference
