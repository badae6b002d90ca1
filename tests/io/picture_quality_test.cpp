#include "weft/io/picture_quality.h"

#include <cmath>

#include <gtest/gtest.h>

#include "reference/ssim.h"
#include "support/moving_texture.h"

namespace weft {
namespace {

using test::Rgb;

TEST(PictureQuality, MeanSquaredErrorAndItsDecibels) {
  const Rgb a{0, 0, 0, 255, 10, 20}, b{0, 0, 0, 254, 13, 20};
  EXPECT_DOUBLE_EQ(mean_squared_error(a, b), 10.0 / 6);
  EXPECT_EQ(mean_squared_error(a, a), 0);
  EXPECT_NEAR(psnr(1), 48.1308036, 1e-6);  // of 8 bits, one off everywhere
  EXPECT_NEAR(psnr(255.0 * 255.0), 0, 1e-12);
  EXPECT_TRUE(std::isinf(psnr(0)));
}

TEST(PictureQuality, SsimIsThatOfThePlainLoop) {
  for (const auto& [width, height] : {std::pair{8L, 8L}, {12L, 8L}, {61L, 47L}, {64L, 32L}}) {
    const Rgb a = test::texture(width, height);
    for (const Rgb& b : {test::with_noise(a, 10, 5), test::texture(width, height, 1, 0.5),
                         test::brighter(a, 20), Rgb(a.size(), 90)}) {
      const double expected = reference::ssim(a, b, width, height);
      ASSERT_LT(expected, 0.999);
      EXPECT_NEAR(*ssim(a, b, width, height), expected, 1e-12) << width << " x " << height;
    }
    EXPECT_NEAR(*ssim(a, a, width, height), 1, 1e-12);
  }
}

// Each channel and each window weighs the same, wherever it is.
TEST(PictureQuality, SsimSeesEveryWindow) {
  constexpr std::int64_t width = 24, height = 16;
  const Rgb a = test::texture(width, height);
  for (std::int64_t at = 0; at < width * height * 3; ++at) {
    Rgb b = a;
    auto& byte = b[static_cast<std::size_t>(at)];
    byte = static_cast<std::uint8_t>(byte ^ 0x80U);
    EXPECT_LT(*ssim(a, b, width, height), 0.9999) << at;
  }
}

TEST(PictureQuality, NoSsimWithoutAWindow) {
  EXPECT_FALSE(ssim(Rgb(7 * 64 * 3), Rgb(7 * 64 * 3), 7, 64));
  EXPECT_FALSE(ssim(Rgb(64 * 7 * 3), Rgb(64 * 7 * 3), 64, 7));
}

}  // namespace
}  // namespace weft
