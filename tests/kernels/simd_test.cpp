// The CPU kernels' own exponential and activations against the C library in double.
#include "../../kernels/cpu/simd.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace weft {
namespace {

float exp_of(float x) { return cpu::exp(cpu::broadcast(x))[0]; }

TEST(Simd, exp_is_accurate_to_about_one_unit_in_the_last_place) {
  double worst = 0;
  for (double x = -87.3; x <= 88.3; x += 0.00037) {
    const float rounded = static_cast<float>(x);
    if (rounded < -87.3F || rounded > 88.3F) continue;
    const double want = std::exp(static_cast<double>(rounded));
    worst = std::max(worst, std::abs(static_cast<double>(exp_of(rounded)) / want - 1));
  }
  EXPECT_LT(worst, 1.2e-7);
  EXPECT_EQ(exp_of(0), 1);
}

TEST(Simd, exp_outside_its_range) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(exp_of(-88), 0);
  EXPECT_EQ(exp_of(-infinity), 0);
  EXPECT_EQ(exp_of(std::numeric_limits<float>::lowest()), 0);
  EXPECT_EQ(exp_of(infinity), exp_of(88.3F));
  EXPECT_TRUE(std::isnan(exp_of(std::nanf(""))));
}

TEST(Simd, map_gives_a_value_the_same_bits_at_every_place) {
  constexpr int count = 3 * cpu::lanes + 5;
  float x[count], y[count];
  for (int i = 0; i < count; ++i) x[i] = 0.37F;
  cpu::map(x, y, count, [](cpu::Vec v) { return cpu::gelu_tanh(v); });
  for (int i = 0; i < count; ++i) EXPECT_EQ(y[i], y[0]) << i;
}

}  // namespace
}  // namespace weft
