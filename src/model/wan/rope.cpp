// Rotary angles over (frame, row, column), spec 4.2.
#include "rope.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace weft {

RopeTable make_rope(std::int64_t head_dim, std::int64_t frames, std::int64_t rows,
                    std::int64_t cols, TokenRange range) {
  // The head's width is split 44/42/42 at 128: rows and columns get 2 floor(d/6) each, frames the
  // rest. Each section has frequencies of its own.
  const std::int64_t side = 2 * (head_dim / 6);
  const std::array<std::int64_t, 3> width{head_dim - 2 * side, side, side};
  const std::array<std::int64_t, 3> extent{frames, rows, cols};
  const std::int64_t half = head_dim / 2;

  // cos and sin per axis and position, in double, then gathered per token.
  std::array<std::vector<float>, 3> cos_of, sin_of;
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::int64_t p = 0; p < extent[a]; ++p) {
      for (std::int64_t i = 0; i < width[a] / 2; ++i) {
        const double theta =
            std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(width[a]));
        cos_of[a].push_back(static_cast<float>(std::cos(static_cast<double>(p) * theta)));
        sin_of[a].push_back(static_cast<float>(std::sin(static_cast<double>(p) * theta)));
      }
    }
  }
  RopeTable table{Tensor::empty({range.size(), half}), Tensor::empty({range.size(), half})};
  float* cos_out = table.cos.data<float>();
  float* sin_out = table.sin.data<float>();
  for (std::int64_t token = range.begin; token < range.end; ++token) {
    const std::array<std::int64_t, 3> position{token / (rows * cols), token / cols % rows,
                                               token % cols};
    for (std::size_t a = 0; a < 3; ++a) {
      const std::int64_t n = width[a] / 2;
      cos_out = std::copy_n(cos_of[a].data() + position[a] * n, n, cos_out);
      sin_out = std::copy_n(sin_of[a].data() + position[a] * n, n, sin_out);
    }
  }
  return table;
}

}  // namespace weft
