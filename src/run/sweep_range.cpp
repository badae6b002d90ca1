#include "sweep_range.h"

#include <cmath>
#include <initializer_list>

#include "weft/base/error.h"

namespace weft {
namespace {

constexpr double exact_integers = 9007199254740992.0;  // 2^53: up to here a double holds each

// The smallest power of ten that makes whole numbers of all `numbers`, as 1000 for 0.125 and 2;
// 0 if there is none.
double decimal_scale(std::initializer_list<double> numbers) {
  double scale = 1;
  for (int digits = 0; digits <= 15; ++digits, scale *= 10) {
    bool fits = true;
    for (const double x : numbers) {
      const double whole = std::round(x * scale);
      fits = fits && std::abs(whole) < exact_integers && whole / scale == x;
    }
    if (fits) return scale;
  }
  return 0;
}

std::int64_t whole(double x) { return std::llround(x); }

std::string text_of(double value) {
  const bool is_whole = std::abs(value) < exact_integers && std::floor(value) == value;
  return is_whole ? fmt::format("{}", whole(value)) : fmt::format("{}", value);
}

void require_finite(std::initializer_list<double> numbers) {
  for (const double x : numbers) {
    if (!std::isfinite(x)) fail_input("{} is not a finite number", x);
  }
}

}  // namespace

std::vector<std::string> stepped_range(double from, double to, double step) {
  require_finite({from, to, step});
  if (step == 0) fail_input("step is 0");
  if (from != to && (to > from) != (step > 0)) {
    fail_input("a step of {} does not lead from {} to {}", step, from, to);
  }
  const double steps = (to - from) / step;
  if (!(steps < static_cast<double>(most_points))) {
    fail_input("{} to {} in steps of {} are more than {} values", from, to, step, most_points);
  }
  std::vector<std::string> values;
  // As whole numbers of a decimal unit nothing is rounded before the division.
  if (const double scale = decimal_scale({from, to, step}); scale > 0) {
    const std::int64_t first = whole(from * scale), each = whole(step * scale);
    const std::int64_t last = (whole(to * scale) - first) / each;
    for (std::int64_t i = 0; i <= last; ++i) {
      values.push_back(text_of(static_cast<double>(first + i * each) / scale));
    }
    return values;
  }
  const auto last = static_cast<std::int64_t>(std::floor(steps + 1e-9));
  for (std::int64_t i = 0; i <= last; ++i) {
    values.push_back(text_of(from + static_cast<double>(i) * step));
  }
  return values;
}

std::vector<std::string> counted_range(double from, double to, std::int64_t count) {
  require_finite({from, to});
  if (count < 2 || count > most_points) {
    fail_input("count is {}: expected 2 to {}", count, most_points);
  }
  const auto parts = static_cast<double>(count - 1);
  const double scale = decimal_scale({from, to});
  const double first = std::round(from * scale), whole_way = std::round(to * scale) - first;
  const bool exact = scale > 0 && std::abs(first) * parts < exact_integers &&
                     std::abs(whole_way) * parts < exact_integers &&
                     (std::abs(first) + std::abs(whole_way)) * parts < exact_integers &&
                     scale * parts < exact_integers;
  std::vector<std::string> values;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto part = static_cast<double>(i);
    double value = from + (to - from) * (part / parts);
    if (exact) value = (first * parts + whole_way * part) / (scale * parts);
    if (i == count - 1) value = to;
    values.push_back(text_of(value));
  }
  return values;
}

}  // namespace weft
