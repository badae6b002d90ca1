// The pieces under the fit, against published tables and closed forms.
#include "../../src/scaling/noise.h"

#include <random>

#include <gtest/gtest.h>

#include "../../src/scaling/least_squares.h"

namespace weft {
namespace {

// Values of the usual tables of t and F.
TEST(Noise, TailsAreThoseOfTheTables) {
  EXPECT_NEAR(f_tail(12.706 * 12.706, 1, 1), 0.05, 1e-5);
  EXPECT_NEAR(f_tail(2.571 * 2.571, 1, 5), 0.05, 1e-4);
  EXPECT_NEAR(f_tail(3.326, 5, 10), 0.05, 1e-4);
  EXPECT_NEAR(f_tail(10.044, 1, 10), 0.01, 1e-4);
  EXPECT_NEAR(f_tail(0.211, 5, 10), 0.95, 1e-3);
  EXPECT_EQ(f_tail(0, 3, 3), 1);
}

// Catches: wrong scale of the estimate; one bad run taken for noise.
TEST(Noise, OfRepeatsComesFromPairs) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  std::vector<std::vector<double>> times(20);
  for (auto& t : times) {
    for (int i = 0; i < 5; ++i) t.push_back(30 * (1 + 0.02 * normal(random)));
  }
  EXPECT_NEAR(std::sqrt(repeat_scatter(times).run_variance), 0.02, 0.003);
  EXPECT_NEAR(repeat_scatter(times).variance, 0.02 * 0.02 * 1.4 / 5, 5e-5);
  EXPECT_EQ(repeat_scatter(times).dof, 40);
  times[3][2] = 300;
  EXPECT_NEAR(std::sqrt(repeat_scatter(times).run_variance), 0.02, 0.003);
  EXPECT_EQ(repeat_scatter({{1}, {2}}).dof, 0);
}

TEST(Noise, LackOfFitIsTold) {
  const RepeatScatter repeats{.variance = 1e-4, .dof = 6};
  const Noise pooled = noise_around(2e-4, 2, repeats);
  EXPECT_FALSE(pooled.lack_of_fit);
  EXPECT_NEAR(pooled.variance, 1e-4, 1e-12);
  EXPECT_EQ(pooled.dof, 8);
  const Noise worse = noise_around(200e-4, 2, repeats);
  EXPECT_TRUE(worse.lack_of_fit);
  EXPECT_NEAR(worse.variance, 100e-4, 1e-12);
  EXPECT_EQ(worse.dof, 2);
}

// A line through three points by hand: y = 2 + 3 x exactly, and with a bound that binds.
TEST(LeastSquares, SolvesAndKeepsBounds) {
  std::vector<Equation> equations;
  for (const double x : {1.0, 2.0, 5.0}) equations.push_back({{1, x}, 0, 2 + 3 * x});
  const auto line = relative_least_squares(equations, 2, true);
  ASSERT_TRUE(line.has_value());
  EXPECT_NEAR(line->beta[0], 2, 1e-9);
  EXPECT_NEAR(line->beta[1], 3, 1e-9);
  EXPECT_NEAR(line->rss, 0, 1e-18);
  // Leverages of all points sum to the number of parameters.
  double sum = 0;
  for (const Equation& e : equations) sum += line->variance(e);
  EXPECT_NEAR(sum, 2, 1e-9);

  for (Equation& e : equations) e.y = 8 - e.x[1];
  EXPECT_NEAR(relative_least_squares(equations, 2, false)->beta[1], -1, 1e-9);
  EXPECT_EQ(relative_least_squares(equations, 2, true)->beta[1], 0);

  for (Equation& e : equations) e.x[1] = 2 * e.x[0];  // one column twice
  EXPECT_FALSE(relative_least_squares(equations, 2, false).has_value());
}

// Catches: weights of the measured values, which pull the estimate of a constant below its mean.
TEST(LeastSquares, IsNotBiased) {
  std::vector<Equation> equations;
  for (const double y : {0.5, 1.0, 1.5}) equations.push_back({{1}, 0, y});
  EXPECT_NEAR(relative_least_squares(equations, 1, false)->beta[0], 1, 1e-9);
}

}  // namespace
}  // namespace weft
