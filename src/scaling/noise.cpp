#include "noise.h"

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

/// Continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8, evaluated by
/// Lentz's method).
double beta_fraction(double a, double b, double x) {
  constexpr double tiny = 1e-300;
  const auto away = [](double v) { return std::abs(v) < tiny ? tiny : v; };
  double c = 1;
  double d = 1 / away(1 - (a + b) * x / (a + 1));
  double made = d;
  for (int m = 1; m < 1000; ++m) {
    for (const double factor : {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                                -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))}) {
      d = 1 / away(1 + factor * d);
      c = away(1 + factor / c);
      made *= c * d;
    }
    if (std::abs(c * d - 1) < 1e-14) break;
  }
  return made;
}

/// The regularised incomplete beta function I_x(a, b).
double incomplete_beta(double a, double b, double x) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

}  // namespace

double f_tail(double f, double d1, double d2) {
  if (f <= 0) return 1;
  if (std::isinf(f)) return 0;
  return incomplete_beta(d2 / 2, d1 / 2, d2 / (d2 + d1 * f));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

RepeatScatter repeat_scatter(const std::vector<std::vector<double>>& times_by_point) {
  std::vector<double> differences;
  double extra_runs = 0;
  double share = 0;  // of a single run's variance that is left in a point's
  for (const std::vector<double>& times : times_by_point) {
    const auto n = static_cast<double>(times.size());
    // A median of three or more has up to pi / 2 of the variance of the mean.
    share += (n < 3 ? 1 : 1.4) / n / static_cast<double>(times_by_point.size());
    extra_runs += n - 1;
    const double middle = median(times);
    for (std::size_t i = 0; i < times.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        differences.push_back(std::abs(times[i] - times[j]) / middle);
      }
    }
  }
  if (differences.empty()) return {};
  // The difference of two normal numbers of deviation s has the median size 0.6745 sqrt(2) s.
  const double sd = median(differences) / (0.6745 * std::sqrt(2.0));
  return {sd * sd * share, std::max(1.0, extra_runs / 2), sd * sd};
}

Noise noise_around(double rss, double dof, const RepeatScatter& repeats) {
  // Nothing is measured more finely; it also keeps exact data from dividing by zero.
  constexpr double least = 1e-18;
  if (dof <= 0) return {std::max(repeats.variance, least), repeats.dof, false};
  const double between = std::max(rss / dof, least);
  if (repeats.dof <= 0) return {between, dof, false};
  const double within = std::max(repeats.variance, least);
  if (f_tail(between / within, dof, repeats.dof) < 0.05) return {between, dof, true};
  return {(between * dof + within * repeats.dof) / (dof + repeats.dof), dof + repeats.dof, false};
}

}  // namespace weft
