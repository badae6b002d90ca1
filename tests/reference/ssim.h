#pragma once
// Plain loop over every window: what io/picture_quality.h says, in the order of its formula.

#include <cstdint>
#include <vector>

namespace weft::reference {

/// a, b: rgb24 [height, width, 3].
inline double ssim(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b,
                   std::int64_t width, std::int64_t height) {
  const double c1 = 0.01 * 255 * 0.01 * 255, c2 = 0.03 * 255 * 0.03 * 255;
  double total = 0;
  std::int64_t windows = 0;
  for (int c = 0; c < 3; ++c) {
    for (std::int64_t top = 0; top + 8 <= height; top += 4) {
      for (std::int64_t left = 0; left + 8 <= width; left += 4) {
        std::vector<double> x, y;
        for (std::int64_t i = 0; i < 64; ++i) {
          const auto at = static_cast<std::size_t>(((top + i / 8) * width + left + i % 8) * 3 + c);
          x.push_back(a[at]);
          y.push_back(b[at]);
        }
        double mean_x = 0, mean_y = 0;
        for (std::size_t i = 0; i < 64; ++i) {
          mean_x += x[i] / 64;
          mean_y += y[i] / 64;
        }
        double var_x = 0, var_y = 0, covariance = 0;
        for (std::size_t i = 0; i < 64; ++i) {
          var_x += (x[i] - mean_x) * (x[i] - mean_x) / 63;
          var_y += (y[i] - mean_y) * (y[i] - mean_y) / 63;
          covariance += (x[i] - mean_x) * (y[i] - mean_y) / 63;
        }
        total += (2 * mean_x * mean_y + c1) * (2 * covariance + c2) /
                 ((mean_x * mean_x + mean_y * mean_y + c1) * (var_x + var_y + c2));
        ++windows;
      }
    }
  }
  return total / static_cast<double>(windows);
}

}  // namespace weft::reference
