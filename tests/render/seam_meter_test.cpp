#include "weft/render/seam_meter.h"

#include <cmath>

#include <gtest/gtest.h>

namespace weft {
namespace {

constexpr std::int64_t width = 64, height = 32;

/// A smooth picture whose right part, from column `edge`, is brighter by `step`.
std::vector<std::uint8_t> picture(std::int64_t edge, int step, int frame = 0) {
  std::vector<std::uint8_t> rgb;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const int value = 60 + static_cast<int>(x + y) + frame + (x >= edge ? step : 0);
      rgb.insert(rgb.end(), 3, static_cast<std::uint8_t>(value));
    }
  }
  return rgb;
}

Seams columns_at(std::vector<std::int64_t> cols) {
  return {.frames = {},
          .rows = {},
          .cols = std::move(cols),
          .frames_per_cell = 4,
          .pixels_per_cell = 8};
}

TEST(SeamMeter, OneWhereTheEdgeCannotBeSeen) {
  SeamMeter meter(columns_at({24}), width, height);
  meter.add(picture(24, 0));
  ASSERT_TRUE(meter.figure().cols.has_value());
  EXPECT_DOUBLE_EQ(*meter.figure().cols, 1);
  EXPECT_FALSE(meter.figure().rows.has_value());
  EXPECT_FALSE(meter.figure().frames.has_value());
}

TEST(SeamMeter, GrowsWithTheStepAtTheEdge) {
  SeamMeter meter(columns_at({24}), width, height);
  meter.add(picture(24, 9));
  EXPECT_DOUBLE_EQ(*meter.figure().cols, 10);  // a step of 1 + 9 against 1
}

TEST(SeamMeter, AStepOffTheEdgeIsNotASeam) {
  SeamMeter meter(columns_at({24}), width, height);
  meter.add(picture(32, 9));
  EXPECT_LT(*meter.figure().cols, 1);
}

TEST(SeamMeter, ComparesTimeAtTheEdgesOfLatentFrames) {
  Seams seams = columns_at({});
  seams.frames = {5};
  SeamMeter meter(seams, width, height);
  // Brightness rises by 1 a frame, by 3 from frame 4 to frame 5.
  for (int f = 0; f < 13; ++f) meter.add(picture(width, 0, f + (f >= 5 ? 2 : 0)));
  EXPECT_DOUBLE_EQ(*meter.figure().frames, 3);
  EXPECT_DOUBLE_EQ(*meter.figure().worst(), 3);
}

}  // namespace
}  // namespace weft
