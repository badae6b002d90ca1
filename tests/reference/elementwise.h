#pragma once
#include <algorithm>
#include <cmath>
#include <span>

#include "reference/dense.h"
#include "reference/norm.h"
#include "reference/values.h"

namespace weft::reference {

inline Values gated_residual(const Tensor& x, const Tensor& y, const TokenRows& gate) {
  Values out = values(x);
  const std::int64_t width = x.dim(1);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    at(out, i) += at(y, i) * row_value(gate, i / width, i % width);
  }
  return out;
}

inline Values add(const Tensor& x, const Tensor& y) {
  Values out = values(x);
  for (std::int64_t i = 0; i < x.numel(); ++i) at(out, i) += at(y, i);
  return out;
}

inline Values silu(const Tensor& x) {
  Values out = values(x);
  for (double& value : out) value = activate(value, Activation::silu);
  return out;
}

inline Values gated_gelu(const Tensor& a, const Tensor& b) {
  Values out = values(a);
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    at(out, i) = activate(at(out, i), Activation::gelu_tanh) * at(b, i);
  }
  return out;
}

inline Values combine(std::span<const Term> terms) {
  Values out(static_cast<std::size_t>(terms.front().x.numel()));
  for (const Term& term : terms) {
    for (std::int64_t i = 0; i < term.x.numel(); ++i) {
      at(out, i) += static_cast<double>(term.factor) * at(term.x, i);
    }
  }
  return out;
}

/// One pixel value; the default rounding of nearbyint is half to even.
inline std::uint8_t to_u8(float x) {
  const double clamped = std::clamp(static_cast<double>(x), -1.0, 1.0);
  return static_cast<std::uint8_t>(std::nearbyint(255 * (clamped / 2 + 0.5)));
}

}  // namespace weft::reference
