// Runs to points, points to laws, and what a reader must be warned of.
#include "weft/scaling/fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "weft/base/error.h"

#include "law_fit.h"
#include "outliers.h"

namespace weft {
namespace {

void check_runs(const ScalingSeries& series) {
  Problems problems;
  if (series.runs.empty()) problems.add("{}: there are no runs to fit", series.name);
  for (const ScalingRun& r : series.runs) {
    const std::string where =
        fmt::format("{}{}{}", series.name, r.source.empty() ? "" : ", ", r.source);
    const auto positive = [&](const char* what, double value) {
      if (std::isfinite(value) && value > 0) return;
      problems.add("{}: {} of a run on {} ranks is {}: expected a positive number", where, what,
                   r.ranks, value);
    };
    if (r.ranks < 1) problems.add("{}: a run on {} ranks: expected 1 or more", where, r.ranks);
    positive("the time", r.seconds);
    positive("the work", r.work);
    if (!std::isfinite(r.exchange_bytes) || r.exchange_bytes < 0) {
      problems.add("{}: the exchange of a run on {} ranks is {} bytes: expected 0 or more", where,
                   r.ranks, r.exchange_bytes);
    }
  }
  if (series.bandwidth && !(*series.bandwidth > 0 && std::isfinite(*series.bandwidth))) {
    problems.add("{}: the bandwidth is {}: expected a positive number", series.name,
                 *series.bandwidth);
  }
  problems.throw_if_any();
}

struct Grouped {
  std::vector<ScalingPoint> points;
  std::vector<std::vector<double>> times;  // by point
};

Grouped group(const ScalingSeries& series) {
  std::map<int, std::vector<const ScalingRun*>> by_ranks;
  for (const ScalingRun& r : series.runs) by_ranks[r.ranks].push_back(&r);
  Grouped made;
  for (const auto& [ranks, runs] : by_ranks) {
    std::vector<double> times, away;
    ScalingPoint p;
    p.ranks = ranks;
    p.repeats = static_cast<int>(runs.size());
    p.work = 0;
    for (const ScalingRun* r : runs) {
      times.push_back(r->seconds);
      p.work += r->work / p.repeats;
      p.exchange_bytes += r->exchange_bytes / p.repeats;
    }
    p.seconds = median(times);
    for (const double t : times) away.push_back(std::abs(t - p.seconds));
    p.spread = 1.4826 * median(away);
    made.points.push_back(p);
    made.times.push_back(std::move(times));
  }
  const double unit = made.points.front().work;
  for (ScalingPoint& p : made.points) p.work /= unit;
  return made;
}

/// Which laws have enough points; the reasons against the others.
std::vector<LinearLaw> possible_laws(const std::vector<ScalingPoint>& points,
                                     std::optional<double> bandwidth,
                                     std::vector<std::string>& warnings) {
  std::vector<LinearLaw> made;
  const std::size_t n = points.size();
  if (n < 2) {
    warnings.push_back(
        fmt::format("All runs are on {} rank{}: a law needs at least 2 different numbers of ranks.",
                    points.front().ranks, points.front().ranks == 1 ? "" : "s"));
    return made;
  }
  made.push_back(linear_law(Law::amdahl, points, bandwidth));
  if (n == 2) {
    warnings.emplace_back(
        "Two different numbers of ranks fix a and cannot test the law: add a third.");
  }
  const auto add = [&](Law law) {
    LinearLaw linear = linear_law(law, points, bandwidth);
    if (std::ssize(points) > linear.parameters) {
      made.push_back(std::move(linear));
    } else {
      warnings.push_back(fmt::format(
          "The law {} is left out: it has {} parameters, and {} different numbers of ranks cannot "
          "test it; it takes {}.",
          name_of(law), linear.parameters, n, linear.parameters + 1));
    }
  };
  add(Law::usl);
  const auto sends = [](const ScalingPoint& p) { return p.exchange_bytes > 0; };
  if (std::any_of(points.begin(), points.end(), sends)) add(Law::exchange);
  return made;
}

double aicc(const LinearLaw& linear, const LawFit& fit, const std::vector<ScalingPoint>& points,
            const RepeatScatter& repeats) {
  double n = 0;
  double kept = 0;
  double rss = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].outlier) continue;
    n += points[i].repeats;
    kept += 1;
    rss += points[i].repeats * fit.residuals[i] * fit.residuals[i];
  }
  rss += (n - kept) * repeats.run_variance;
  const double k = linear.parameters + 1;
  if (n - k - 1 <= 0) return std::numeric_limits<double>::quiet_NaN();
  return n * std::log(std::max(rss / n, 1e-18)) + 2 * k + 2 * k * (k + 1) / (n - k - 1);
}

void add_speedups(ScalingFit& made) {
  const LawFit* amdahl = made.law(Law::amdahl);
  double one = made.points.front().seconds;  // for work 1
  if (made.points.front().ranks > 1) {
    if (amdahl == nullptr) return;  // nothing to compare with
    one = amdahl->best[0];
    made.warnings.push_back(fmt::format(
        "There is no run on 1 rank: speed-ups are against the {:.4g} s that the fit gives for it.",
        one));
  }
  for (ScalingPoint& p : made.points) {
    p.speedup = p.work * one / p.seconds;
    p.efficiency = p.speedup / p.ranks;
    if (p.ranks > 1) p.karp_flatt = karp_flatt(p.speedup, p.ranks);
  }
}

void warn_of_fits(ScalingFit& made) {
  for (const LawFit& f : made.laws) {
    if (f.draws.empty()) {
      made.warnings.push_back(fmt::format(
          "The law {} has no interval: there are as many parameters as points and no repeats.",
          name_of(f.law)));
    }
    if (f.lack_of_fit) {
      made.warnings.push_back(fmt::format(
          "The points lie further from the law {} ({:.1f} %) than repeats from each other: it is "
          "not the whole truth, and its interval tells that.",
          name_of(f.law), 100 * f.rms_residual));
    }
  }
  const LawFit* amdahl = made.law(Law::amdahl);
  if (amdahl != nullptr && amdahl->best[1] > 1) {
    made.warnings.push_back(
        fmt::format("a = {:.3f} is above 1: more ranks take longer than one.", amdahl->best[1]));
  }
  if (amdahl != nullptr && amdahl->best[1] < 0) {
    const Estimate a = amdahl->parameters.front().second;
    made.warnings.push_back(fmt::format(
        "a = {:.4f} is negative{}: N ranks were more than N times as fast as one. Look for what "
        "one "
        "rank has less of (cache, memory, a cold start, another program beside it); predictions "
        "take a as 0.",
        a.value, a.high < 0 ? " beyond its interval" : ", and 0 is within its interval"));
  }
}

}  // namespace

const LawFit* ScalingFit::law(Law wanted) const {
  for (const LawFit& f : laws) {
    if (f.law == wanted) return &f;
  }
  return nullptr;
}

ScalingFit fit_scaling(const ScalingSeries& series) {
  check_runs(series);
  Grouped grouped = group(series);
  ScalingFit made{
      .name = series.name, .weak = series.weak, .points = {}, .laws = {}, .warnings = series.notes};
  const RepeatScatter repeats = repeat_scatter(grouped.times);
  const std::vector<LinearLaw> laws =
      possible_laws(grouped.points, series.bandwidth, made.warnings);
  set_outliers_aside(laws, repeats, grouped.points, made.warnings);
  made.points = std::move(grouped.points);
  for (const LinearLaw& linear : laws) {
    auto fit = fit_law(linear, made.points, repeats, series.bandwidth);
    if (fit) {
      fit->aic = aicc(linear, *fit, made.points, repeats);
      made.laws.push_back(std::move(*fit));
    } else {
      made.warnings.push_back(fmt::format(
          "The law {} is left out: the runs do not determine its parameters{}.",
          name_of(linear.law),
          linear.law == Law::exchange
              ? " (bytes that go like 1/N or a constant look like the other terms; give a measured "
                "bandwidth)"
              : ""));
    }
  }
  const auto rank_of = [](const LawFit& f) {
    return std::isnan(f.aic) ? std::numeric_limits<double>::infinity() : f.aic;
  };
  std::stable_sort(made.laws.begin(), made.laws.end(),
                   [&](const LawFit& a, const LawFit& b) { return rank_of(a) < rank_of(b); });
  add_speedups(made);
  warn_of_fits(made);
  return made;
}

}  // namespace weft
