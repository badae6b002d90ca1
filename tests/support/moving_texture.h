#pragma once
// Frames with a known motion: a smooth texture sampled at shifted positions, and what spoils it.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace weft::test {

using Rgb = std::vector<std::uint8_t>;  // [height, width, 3]

/// The texture moved by (dx, dy) pixels: values 8 ... 248, waves of 9 to 60 pixels in several
/// directions, so that its motion can be told everywhere.
inline Rgb texture(std::int64_t width, std::int64_t height, double dx = 0, double dy = 0) {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> unit(0, 1);
  struct Wave {
    double x, y, phase;
  };
  std::vector<Wave> waves;
  for (int i = 0; i < 24; ++i) {
    const double length = 9 + 51 * unit(random), angle = 6.2832 * unit(random);
    waves.push_back({6.2832 / length * std::cos(angle), 6.2832 / length * std::sin(angle),
                     6.2832 * unit(random)});
  }
  Rgb rgb;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (const Wave& w : waves) {
          sum += std::cos(w.x * (static_cast<double>(x) - dx) +
                          w.y * (static_cast<double>(y) - dy) + w.phase * (1 + 0.1 * c));
        }
        rgb.push_back(static_cast<std::uint8_t>(std::clamp(128 + 15 * sum, 8.0, 248.0)));
      }
    }
  }
  return rgb;
}

inline Rgb brighter(Rgb rgb, int by) {
  for (auto& v : rgb) v = static_cast<std::uint8_t>(std::clamp(v + by, 0, 255));
  return rgb;
}

inline Rgb with_noise(Rgb rgb, double deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> noise(0, deviation);
  for (auto& v : rgb)
    v = static_cast<std::uint8_t>(std::clamp(std::lround(v + noise(random)), 0L, 255L));
  return rgb;
}

}  // namespace weft::test
