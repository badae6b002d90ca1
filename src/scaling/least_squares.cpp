#include "least_squares.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace weft {
namespace {

using Matrix = std::array<Parameters, most_parameters>;

// Of a column's norm, what must be left after taking out the columns before it: below, it is a mix
// of them and its parameter is anything.
constexpr double least_pivot = 1e-8;

/// Lower triangle G with G G^T = A; nothing when A is singular.
std::optional<Matrix> cholesky(const Matrix& a, int n) {
  Matrix g{};
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j <= i; ++j) {
      double sum = a[i][j];
      for (int k = 0; k < j; ++k) sum -= g[i][k] * g[j][k];
      if (i != j) {
        g[i][j] = sum / g[j][j];
      } else if (sum > least_pivot * a[i][i]) {
        g[i][i] = std::sqrt(sum);
      } else {
        return std::nullopt;
      }
    }
  }
  return g;
}

/// Inverse of a lower triangle.
Matrix inverse(const Matrix& g, int n) {
  Matrix inv{};
  for (int c = 0; c < n; ++c) {
    for (int r = c; r < n; ++r) {
      double sum = r == c ? 1 : 0;
      for (int k = c; k < r; ++k) sum -= g[r][k] * inv[k][c];
      inv[r][c] = sum / g[r][r];
    }
  }
  return inv;
}

/// (X^T W X)^-1 from the equations divided by `scale`.
std::optional<Matrix> covariance(std::span<const Equation> equations, std::span<const double> scale,
                                 int n) {
  Matrix a{};
  for (std::size_t e = 0; e < equations.size(); ++e) {
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) {
        a[i][j] += equations[e].x[i] * equations[e].x[j] / (scale[e] * scale[e]);
      }
    }
  }
  const auto g = cholesky(a, n);
  if (!g) return std::nullopt;
  const Matrix inv = inverse(*g, n);
  Matrix made{};
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      for (int k = std::max(i, j); k < n; ++k) made[i][j] += inv[k][i] * inv[k][j];
    }
  }
  return made;
}

double rss_of(std::span<const Equation> equations, std::span<const double> scale,
              const Parameters& beta, int n) {
  double rss = 0;
  for (std::size_t e = 0; e < equations.size(); ++e) {
    double fitted = equations[e].offset;
    for (int k = 0; k < n; ++k) fitted += equations[e].x[k] * beta[k];
    rss += std::pow((equations[e].y - fitted) / scale[e], 2);
  }
  return rss;
}

/// Weighted least squares over the parameters in `free` (bits); the others are 0.
std::optional<Parameters> solve_free(std::span<const Equation> equations,
                                     std::span<const double> scale, int n, unsigned free) {
  std::vector<Equation> chosen(equations.begin(), equations.end());
  std::array<int, most_parameters> at{};
  int count = 0;
  for (int k = 0; k < n; ++k) {
    if ((free >> k & 1U) != 0) at[count++] = k;
  }
  for (Equation& e : chosen) {
    const Parameters all = e.x;
    for (int k = 0; k < count; ++k) e.x[k] = all[at[k]];
  }
  const auto cov = covariance(chosen, scale, count);
  if (!cov) return std::nullopt;
  Parameters right{};
  for (std::size_t e = 0; e < chosen.size(); ++e) {
    for (int k = 0; k < count; ++k) {
      right[k] += chosen[e].x[k] * (chosen[e].y - chosen[e].offset) / (scale[e] * scale[e]);
    }
  }
  Parameters beta{};
  for (int i = 0; i < count; ++i) {
    for (int k = 0; k < count; ++k) beta[at[i]] += (*cov)[i][k] * right[k];
  }
  return beta;
}

/// With bounds: the best of the solutions that have some parameters at 0 and none below. With three
/// parameters trying all choices is as cheap as an active-set method, and exact.
std::optional<Parameters> solve(std::span<const Equation> equations, std::span<const double> scale,
                                int n, bool bounded) {
  const unsigned all = (1U << n) - 1;
  std::optional<Parameters> best = solve_free(equations, scale, n, all);
  if (!best || !bounded) return best;
  if (std::all_of(best->begin() + 1, best->begin() + n, [](double b) { return b >= 0; })) {
    return best;
  }
  best.reset();
  double lowest = std::numeric_limits<double>::infinity();
  for (unsigned free = 1; free < all; free += 2) {  // the first is always free
    const auto beta = solve_free(equations, scale, n, free);
    if (!beta || std::any_of(beta->begin(), beta->begin() + n, [](double b) { return b < 0; })) {
      continue;
    }
    const double rss = rss_of(equations, scale, *beta, n);
    if (rss < lowest) {
      lowest = rss;
      best = beta;
    }
  }
  return best;
}

}  // namespace

double LeastSquares::fitted(const Equation& e) const {
  double sum = e.offset;
  for (int k = 0; k < parameters; ++k) sum += e.x[k] * beta[k];
  return sum;
}

double LeastSquares::residual(const Equation& e) const {
  const double f = fitted(e);
  return (e.y - f) / f;
}

double LeastSquares::variance(const Equation& e) const {
  double sum = 0;
  for (int c = 0; c < parameters; ++c) {
    double part = 0;
    for (int r = c; r < parameters; ++r) part += e.x[r] * spread[r][c];
    sum += part * part;
  }
  return sum / std::pow(fitted(e), 2);
}

std::optional<LeastSquares> relative_least_squares(std::span<const Equation> equations,
                                                   int parameters, bool bounded) {
  if (std::ssize(equations) < parameters) return std::nullopt;
  std::vector<double> scale;
  for (const Equation& e : equations) scale.push_back(e.y);
  LeastSquares made;
  made.parameters = parameters;
  // The weights move by the square of the relative misfit: a few rounds settle them.
  for (int round = 0; round < 50; ++round) {
    const auto beta = solve(equations, scale, parameters, bounded);
    if (!beta) return std::nullopt;
    made.beta = *beta;
    double change = 0;
    for (std::size_t e = 0; e < equations.size(); ++e) {
      // A fit far from the data may cross zero on the way.
      const double f = std::max(made.fitted(equations[e]), 0.1 * equations[e].y);
      change = std::max(change, std::abs(f / scale[e] - 1));
      scale[e] = f;
    }
    if (change < 1e-12) break;
  }
  const auto cov = covariance(equations, scale, parameters);
  if (!cov) return std::nullopt;
  const auto lower = cholesky(*cov, parameters);
  if (!lower) return std::nullopt;
  made.spread = *lower;
  made.rss = rss_of(equations, scale, made.beta, parameters);
  return made;
}

}  // namespace weft
