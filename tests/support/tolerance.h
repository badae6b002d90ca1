#pragma once
// How far results may lie apart, in one place, each bound with its reason.

#include <cmath>
#include <span>

namespace weft::test {

// Golden tensors come from float32 arithmetic; the double-precision reference agrees with them to
// 2e-6 (Frobenius, relative), so a float32 implementation has a factor of ten for its own rounding.
inline constexpr double golden_f32 = 2e-5;

// One float32 operation against the same loop in double: rounding of the inputs' products and of a
// sum of up to some thousand terms grows like eps sqrt(n), eps = 6e-8.
inline constexpr double kernel_f32 = 5e-6;

/// |a - b| / |b| (Frobenius); infinite when a is not finite somewhere.
inline double relative_error(std::span<const float> a, std::span<const float> b) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (!std::isfinite(a[i])) return INFINITY;
    const double d = static_cast<double>(a[i]) - b[i];
    difference += d * d;
    norm += static_cast<double>(b[i]) * b[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

}  // namespace weft::test
