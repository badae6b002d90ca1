#include "weft/scaling/ticks.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace weft {
namespace {

using Values = std::vector<double>;

TEST(LinearTicks, AreMultiplesOfARoundStepWithinTheRange) {
  EXPECT_EQ(linear_ticks(0, 10, 6), (Values{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(linear_ticks(0.3, 4.4, 6), (Values{1, 2, 3, 4}));
  EXPECT_EQ(linear_ticks(-5, 5, 3), (Values{-5, 0, 5}));
}

TEST(LinearTicks, AreNeverMoreThanAskedForAtAnyScale) {
  for (double high = 1e-7; high < 1e9; high *= 1.7) {
    for (const int most : {2, 5, 9}) {
      const Values ticks = linear_ticks(0, high, most);
      ASSERT_LE(ticks.size(), static_cast<std::size_t>(most)) << high;
      ASSERT_GE(ticks.size(), 1U) << high;
      for (const double t : ticks) {
        EXPECT_GE(t, 0);
        EXPECT_LE(t, high * (1 + 1e-8));
      }
    }
  }
}

TEST(LinearTicks, OfNothingAreNone) {
  EXPECT_TRUE(linear_ticks(3, 3, 5).empty());
  EXPECT_TRUE(linear_ticks(0, std::numeric_limits<double>::infinity(), 5).empty());
  EXPECT_TRUE(linear_ticks(0, std::nan(""), 5).empty());
}

TEST(Log2Ticks, ArePowersOfTwo) {
  EXPECT_EQ(log2_ticks(0.9, 8, 13), (Values{1, 2, 4, 8}));
  EXPECT_EQ(log2_ticks(0.25, 1, 13), (Values{0.25, 0.5, 1}));
  EXPECT_EQ(log2_ticks(1, 4096, 13).size(), 13U);
}

TEST(Log2Ticks, SkipEvenlyWhenThereAreTooMany) {
  EXPECT_EQ(log2_ticks(1, 4096, 7), (Values{1, 4, 16, 64, 256, 1024, 4096}));
  EXPECT_TRUE(log2_ticks(0, 8, 5).empty());
  EXPECT_TRUE(log2_ticks(8, 1, 5).empty());
}

TEST(RoundedUp, IsATickThatNothingLiesAbove) {
  EXPECT_DOUBLE_EQ(rounded_up(7.3, 9), 8);
  EXPECT_DOUBLE_EQ(rounded_up(8, 9), 8);
  EXPECT_DOUBLE_EQ(rounded_up(0.0123, 8), 0.014);
  EXPECT_DOUBLE_EQ(rounded_up(0, 8), 1);
}

TEST(TickText, IsShort) {
  EXPECT_EQ(tick_text(0), "0");
  EXPECT_EQ(tick_text(-0.0), "0");
  EXPECT_EQ(tick_text(0.25), "0.25");
  EXPECT_EQ(tick_text(3 * 0.1), "0.3");
  EXPECT_EQ(tick_text(4096), "4096");
  EXPECT_EQ(tick_text(1e6), "1000000");
  EXPECT_EQ(tick_text(2e-5), "2e-05");
}

}  // namespace
}  // namespace weft
