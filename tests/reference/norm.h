#pragma once
#include <algorithm>
#include <cmath>

#include "weft/ops/ops.h"

#include "reference/dense.h"
#include "reference/values.h"

namespace weft::reference {

inline double row_value(const TokenRows& rows, std::int64_t token, std::int64_t j) {
  const std::int64_t row = token < rows.split ? 0 : rows.rows.dim(0) - 1;
  return at(rows.rows, row * rows.rows.dim(1) + j);
}

/// (x - mean) / sqrt(biased variance + eps) per row.
inline Values standardize(const Tensor& x, double eps) {
  const std::int64_t rows = x.dim(0), width = x.dim(1);
  Values y = values(x);
  for (std::int64_t i = 0; i < rows; ++i) {
    double mean = 0, variance = 0;
    for (std::int64_t j = 0; j < width; ++j)
      mean += at(x, i * width + j) / static_cast<double>(width);
    for (std::int64_t j = 0; j < width; ++j) {
      variance += std::pow(at(x, i * width + j) - mean, 2) / static_cast<double>(width);
    }
    for (std::int64_t j = 0; j < width; ++j) {
      double& value = at(y, i * width + j);
      value = (value - mean) / std::sqrt(variance + eps);
    }
  }
  return y;
}

inline Values layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias,
                         double eps) {
  Values y = standardize(x, eps);
  const std::int64_t width = x.dim(1);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    at(y, i) =
        at(y, i) * row_value(weight, i / width, i % width) + row_value(bias, i / width, i % width);
  }
  return y;
}

inline Values rms_norm(const Tensor& x, const Tensor& w, double eps) {
  const std::int64_t width = x.dim(1);
  Values y = values(x);
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    double squares = 0;
    for (std::int64_t j = 0; j < width; ++j) squares += std::pow(at(x, i * width + j), 2);
    const double root = std::sqrt(squares / static_cast<double>(width) + eps);
    for (std::int64_t j = 0; j < width; ++j) at(y, i * width + j) *= at(w, j) / root;
  }
  return y;
}

inline Values rms_norm_rope(const Tensor& x, const Tensor& w, double eps, const Tensor& cos,
                            const Tensor& sin) {
  const std::int64_t width = x.dim(1), pairs = cos.dim(1);
  Values y = rms_norm(x, w, eps);
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    for (std::int64_t p = 0; p < width / 2; ++p) {
      const double c = at(cos, i * pairs + p % pairs), s = at(sin, i * pairs + p % pairs);
      double& first = at(y, i * width + 2 * p);
      double& second = at(y, i * width + 2 * p + 1);
      const double x1 = first, x2 = second;
      first = x1 * c - x2 * s;
      second = x1 * s + x2 * c;
    }
  }
  return y;
}

inline Values channel_norm(const Tensor& x, const Tensor& gamma, Activation act) {
  const std::int64_t width = x.dim(-1);
  Values y = values(x);
  for (std::int64_t i = 0; i < x.numel() / width; ++i) {
    double squares = 0;
    for (std::int64_t j = 0; j < width; ++j) squares += std::pow(at(x, i * width + j), 2);
    const double norm = std::max(std::sqrt(squares), 1e-12);
    for (std::int64_t j = 0; j < width; ++j) {
      double& value = at(y, i * width + j);
      value = activate(value / norm * std::sqrt(static_cast<double>(width)) * at(gamma, j), act);
    }
  }
  return y;
}

}  // namespace weft::reference
