#include "law_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace weft {
namespace {

constexpr int draw_count = 4000;
constexpr double infinity = std::numeric_limits<double>::infinity();

/// From the linear parameters to those of the law, T(1) first.
std::vector<double> law_parameters(Law law, const Parameters& beta,
                                   std::optional<double> bandwidth) {
  if (law == Law::amdahl) return {beta[0], beta[1] / beta[0]};
  if (law == Law::usl) return {beta[0], beta[1] / beta[0], beta[2] / beta[0]};
  const double per_byte = bandwidth ? 1 / *bandwidth : beta[2];
  return {beta[0] + beta[1], beta[1], beta[0], per_byte};
}

/// Value and the middle 95 % of the draws; with none, infinite ends.
Estimate estimate_of(double value, std::vector<double> draws) {
  if (draws.empty()) return {value, -infinity, infinity};
  std::sort(draws.begin(), draws.end());
  const auto at = [&](double share) {
    return draws[static_cast<std::size_t>(share * static_cast<double>(draws.size() - 1))];
  };
  return {value, std::min(value, at(0.025)), std::max(value, at(0.975))};
}

/// One set of parameters around the fit. Those that may not be negative are not: such draws are
/// made again, since to cut each off at 0 would tear apart parameters that make up for each other.
template <class Random>
Parameters draw_around(const LinearLaw& law, const LeastSquares& fit, const Noise& noise,
                       Random& random) {
  constexpr int most_tries = 200;
  std::normal_distribution<double> normal;
  std::chi_squared_distribution<double> chi_squared(noise.dof);
  Parameters beta{};
  for (int tries = 0; tries < most_tries; ++tries) {
    Parameters z{};
    for (int k = 0; k < law.parameters; ++k) z[k] = normal(random);
    const double scale = std::sqrt(noise.variance * noise.dof / chi_squared(random));
    bool allowed = true;
    for (int i = 0; i < law.parameters; ++i) {
      beta[i] = fit.beta[i];
      for (int k = 0; k <= i; ++k) beta[i] += scale * fit.spread[i][k] * z[k];
      allowed = allowed && (beta[i] >= 0 || !(law.bounded || i == 0));
    }
    if (allowed) return beta;
  }
  return fit.beta;
}

std::vector<std::vector<double>> make_draws(const LinearLaw& law, const LeastSquares& fit,
                                            const Noise& noise, std::optional<double> bandwidth) {
  std::vector<std::vector<double>> draws;
  if (noise.dof <= 0) return draws;
  std::mt19937_64 random(20070107);  // any fixed number: the same runs give the same interval
  for (int d = 0; d < draw_count; ++d) {
    Parameters beta = draw_around(law, fit, noise, random);
    // A time is positive; this matters only where the interval is wider than the value.
    beta[0] = std::max(beta[0], 1e-3 * fit.beta[0]);
    draws.push_back(law_parameters(law.law, beta, bandwidth));
  }
  return draws;
}

std::vector<double> column(const std::vector<std::vector<double>>& draws, std::size_t k) {
  std::vector<double> values;
  for (const auto& d : draws) values.push_back(d[k]);
  return values;
}

void name_parameters(LawFit& made, std::optional<double> bandwidth) {
  const auto add = [&](const char* name, std::size_t k) {
    made.parameters.emplace_back(name, estimate_of(made.best[k], column(made.draws, k)));
  };
  made.one_rank_seconds = estimate_of(made.best[0], column(made.draws, 0));
  if (made.law == Law::amdahl) add("a", 1);
  if (made.law == Law::usl) {
    add("sigma", 1);
    add("kappa", 2);
  }
  if (made.law != Law::exchange) return;
  add("serial_seconds", 1);
  add("parallel_seconds", 2);
  add("bandwidth", 3);
  Estimate& e = made.parameters.back().second;  // seconds per byte so far
  if (bandwidth) {
    e = {*bandwidth, *bandwidth, *bandwidth};
  } else {
    const auto per = [](double s) { return s > 0 ? 1 / s : infinity; };
    e = {per(e.value), per(e.high), per(e.low)};
  }
}

double seconds_of(Law law, std::span<const double> p, double n, double work, double bytes) {
  if (law == Law::amdahl) return work * p[0] * (1 + std::max(p[1], 0.0) * (n - 1)) / n;
  if (law == Law::usl) return work * p[0] * (1 + p[1] * (n - 1) + p[2] * n * (n - 1)) / n;
  return work * (p[1] + p[2] / n) + bytes * p[3];
}

double speedup_of(Law law, std::span<const double> p, double n, double work, double bytes) {
  return work * p[0] / seconds_of(law, p, n, work, bytes);
}

}  // namespace

LinearLaw linear_law(Law law, std::span<const ScalingPoint> points,
                     std::optional<double> bandwidth) {
  LinearLaw made;
  made.law = law;
  made.parameters = law == Law::amdahl ? 2 : 3;
  made.bounded = law != Law::amdahl;
  if (law == Law::exchange && bandwidth) made.parameters = 2;
  for (const ScalingPoint& p : points) {
    const double n = p.ranks;
    Equation e;
    e.y = p.seconds;
    if (law == Law::exchange) {
      const double bytes = p.ranks > 1 ? p.exchange_bytes : 0;  // one rank sends to itself at most
      e.x = {p.work / n, p.work, bytes};
      if (bandwidth) e.offset = bytes / *bandwidth;
    } else {
      e.x = {p.work / n, p.work * (n - 1) / n, p.work * (n - 1)};
    }
    made.equations.push_back(e);
  }
  return made;
}

std::vector<Equation> kept_equations(const LinearLaw& law, std::span<const ScalingPoint> points) {
  std::vector<Equation> kept;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!points[i].outlier) kept.push_back(law.equations[i]);
  }
  return kept;
}

std::optional<LawFit> fit_law(const LinearLaw& law, std::span<const ScalingPoint> points,
                              const RepeatScatter& repeats, std::optional<double> bandwidth) {
  const std::vector<Equation> kept = kept_equations(law, points);
  const auto fit = relative_least_squares(kept, law.parameters, law.bounded);
  if (!fit || fit->beta[0] <= 0) return std::nullopt;
  const auto free = static_cast<double>(kept.size()) - law.parameters;
  const Noise noise = noise_around(fit->rss, free, repeats);
  LawFit made;
  made.law = law.law;
  made.best = law_parameters(law.law, fit->beta, bandwidth);
  made.draws = make_draws(law, *fit, noise, bandwidth);
  made.lack_of_fit = noise.lack_of_fit;
  made.rms_residual = std::sqrt(fit->rss / static_cast<double>(kept.size()));
  for (const Equation& e : law.equations) made.residuals.push_back(fit->residual(e));
  name_parameters(made, bandwidth);
  std::vector<std::pair<double, double>> work, bytes;
  for (const ScalingPoint& p : points) {
    work.emplace_back(p.ranks, p.work);
    if (p.ranks > 1) bytes.emplace_back(p.ranks, p.exchange_bytes);
  }
  made.work = RankCurve(std::move(work));
  if (law.law == Law::exchange) made.bytes = RankCurve(std::move(bytes));
  return made;
}

Estimate LawFit::seconds(double ranks) const {
  const double w = work.at(ranks);
  const double b = ranks > 1 ? bytes.at(ranks) : 0;
  std::vector<double> values;
  for (const auto& d : draws) values.push_back(seconds_of(law, d, ranks, w, b));
  return estimate_of(seconds_of(law, best, ranks, w, b), std::move(values));
}

Estimate LawFit::speedup(double ranks) const {
  const double w = work.at(ranks);
  const double b = ranks > 1 ? bytes.at(ranks) : 0;
  std::vector<double> values;
  for (const auto& d : draws) values.push_back(speedup_of(law, d, ranks, w, b));
  return estimate_of(speedup_of(law, best, ranks, w, b), std::move(values));
}

}  // namespace weft
