#pragma once
// How far results may lie apart, in one place, each bound with its reason.

#include <cmath>
#include <span>

namespace weft::test {

// Golden tensors come from float32 arithmetic; the double-precision reference agrees with them to
// 2e-6 (Frobenius, relative), so a float32 implementation has a factor of ten for its own rounding.
inline constexpr double golden_f32 = 2e-5;

// The same ladder in bfloat16, whose every activation is rounded to 8 bits (2e-3) on the way
// through some dozens of layers; errors of single roundings mostly cancel.
inline constexpr double golden_bf16 = 5e-2;

// One float32 operation against the same loop in double: rounding of the inputs' products and of a
// sum of up to some thousand terms grows like eps sqrt(n), eps = 6e-8.
inline constexpr double kernel_f32 = 5e-6;

// One operation with bfloat16 inputs and outputs against the same loop in double on the same
// rounded inputs: what is left is the rounding of each output to 8 bits, at most 2^-8 of it
// and 1.7e-3 over all (Frobenius), and in fused operations one more of an intermediate value (the
// softmax weights of attention): 2.4e-3 together.
inline constexpr double kernel_bf16 = 4e-3;

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
