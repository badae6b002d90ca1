#include "weft/scaling/ticks.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace weft {
namespace {

/// The least of 1, 2, 5 times a power of ten that goes at most `most` - 1 times into `range`, so
/// that ticks at both ends still fit.
double step_for(double range, int most) {
  const double least = range / std::max(1, most - 1);
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

}  // namespace

std::vector<double> linear_ticks(double low, double high, int most) {
  std::vector<double> ticks;
  if (!(high > low) || !std::isfinite(high - low)) return ticks;
  const double step = step_for(high - low, most);
  // Whole multiples, so that no rounding piles up; a hair's breadth beyond the ends counts as in.
  const auto first = std::ceil(low / step - 1e-9);
  const auto last = std::floor(high / step + 1e-9);
  for (double k = first; k <= last; ++k) ticks.push_back(k * step + 0.0);
  return ticks;
}

std::vector<double> log2_ticks(double low, double high, int most) {
  std::vector<double> ticks;
  if (!(low > 0) || !(high >= low) || !std::isfinite(high)) return ticks;
  const int first = static_cast<int>(std::ceil(std::log2(low) - 1e-9));
  const int last = static_cast<int>(std::floor(std::log2(high) + 1e-9));
  const int step = (last - first) / std::max(1, most) + 1;
  for (int e = first; e <= last; e += step) ticks.push_back(std::ldexp(1.0, e));
  return ticks;
}

double rounded_up(double high, int most) {
  if (!(high > 0) || !std::isfinite(high)) return 1;
  const double step = step_for(high, most);
  return std::ceil(high / step - 1e-9) * step;
}

std::string tick_text(double value) {
  const double size = std::abs(value);
  if (value != 0 && (size < 1e-4 || size >= 1e9)) return fmt::format("{:.3g}", value);
  if (size >= 1000) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value == 0 ? 0.0 : value);  // no "-0"
}

}  // namespace weft
