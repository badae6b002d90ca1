#pragma once
#include <cmath>
#include <span>

#include "weft/ops/ops.h"

#include "reference/values.h"

namespace weft::reference {

inline double activate(double x, Activation act) {
  if (act == Activation::silu) return x / (1 + std::exp(-x));
  if (act == Activation::gelu_tanh) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  return x;
}

inline Values linear(const Tensor& x, const Tensor& w, const Tensor& b, Activation act) {
  const std::int64_t rows = x.dim(0), depth = x.dim(1), outputs = w.dim(0);
  Values y(static_cast<std::size_t>(rows * outputs));
  for (std::int64_t m = 0; m < rows; ++m) {
    for (std::int64_t n = 0; n < outputs; ++n) {
      double sum = b.defined() ? at(b, n) : 0;
      for (std::int64_t k = 0; k < depth; ++k) sum += at(x, m * depth + k) * at(w, n * depth + k);
      at(y, m * outputs + n) = activate(sum, act);
    }
  }
  return y;
}

}  // namespace weft::reference
