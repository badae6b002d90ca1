#pragma once
// Least squares on relative residuals for a few parameters, some of which may not be negative.

#include <array>
#include <optional>
#include <span>
#include <vector>

namespace weft {

inline constexpr int most_parameters = 3;
using Parameters = std::array<double, most_parameters>;

/// One point: y = sum of x[k] beta[k] + offset, with noise in proportion to it.
struct Equation {
  Parameters x{};
  double offset = 0;
  double y = 0;
};

struct LeastSquares {
  int parameters = 0;
  Parameters beta{};
  // Lower triangle L with L L^T = (X^T W X)^-1 of the relative equations; times the relative noise
  // it spreads independent normal numbers as the estimates spread.
  std::array<Parameters, most_parameters> spread{};
  double rss = 0;  // sum of squared relative residuals

  [[nodiscard]] double fitted(const Equation& e) const;
  [[nodiscard]] double residual(const Equation& e) const;  // (y - fitted) / fitted
  /// The variance of the fitted value at `e` in units of one point's, both relative.
  [[nodiscard]] double variance(const Equation& e) const;
};

/// Minimises the sum of ((y - fitted) / fitted)^2 with the weights 1 / fitted^2 of the solution
/// (not of the measured y, which would pull the fit below the data). `bounded`: parameters from
/// the second on are >= 0. Nothing when the equations do not determine the parameters.
std::optional<LeastSquares> relative_least_squares(std::span<const Equation> equations,
                                                   int parameters, bool bounded);

}  // namespace weft
