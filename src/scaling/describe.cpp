// The result of a scaling measurement in words.
#include <cmath>

#include <fmt/format.h>

#include "weft/scaling/result.h"

namespace weft {
namespace {

/// Four digits that count, without exponents for everyday sizes.
std::string number(double value) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  const double size = std::abs(value);
  if (size == 0) return "0";
  if (size >= 1e6 || size < 1e-4) return fmt::format("{:.3e}", value);
  return fmt::format("{:.{}f}", value,
                     size >= 1000  ? 0
                     : size >= 100 ? 1
                     : size >= 10  ? 2
                     : size >= 1   ? 3
                                   : 4);
}

std::string interval(const Estimate& e) {
  return fmt::format("{} ({} to {})", number(e.value), number(e.low), number(e.high));
}

std::string times_table(const ScalingResult& result) {
  const ScalingFit& whole = result.fits.front();
  const bool planned = !result.weak && !result.planned_speedup.empty();
  std::string text = fmt::format(
      " ranks  runs     seconds   spread  speed-up  efficiency  Karp-Flatt{}{}  shared by\n",
      result.weak ? "        work" : "", planned ? "  planned" : "");
  for (std::size_t i = 0; i < whole.points.size(); ++i) {
    const ScalingPoint& p = whole.points[i];
    const bool compared = p.speedup > 0;
    text += fmt::format("{:>6}  {:>4}  {:>10}  {:>7}  {:>8}  {:>10}  {:>10}", p.ranks, p.repeats,
                        number(p.seconds),
                        p.repeats > 1 ? fmt::format("{:.1f} %", 100 * p.spread / p.seconds) : "-",
                        compared ? fmt::format("{:.3f}", p.speedup) : "-",
                        compared ? fmt::format("{:.1f} %", 100 * p.efficiency) : "-",
                        p.karp_flatt ? fmt::format("{:.4f}", *p.karp_flatt) : "-");
    if (result.weak) text += fmt::format("  {:>10}", number(p.work));
    if (planned) {
      const double s = result.planned_speedup[i];
      text += fmt::format("  {:>7}", s > 0 ? fmt::format("{:.2f}", s) : "-");
    }
    text += fmt::format("  {}{}\n", result.grids[i], p.outlier ? "; set aside" : "");
  }
  return text;
}

std::string stages_table(const ScalingResult& result) {
  if (result.stages.empty()) return {};
  const auto& points = result.fits.front().points;
  std::string text = "\nseconds of each stage, on the rank that spent the most\n ranks";
  for (const StageTimes& s : result.stages) text += fmt::format("  {:>12}", s.name);
  text += "\n";
  for (std::size_t i = 0; i < points.size(); ++i) {
    text += fmt::format("{:>6}", points[i].ranks);
    for (const StageTimes& s : result.stages) text += fmt::format("  {:>12}", number(s.seconds[i]));
    text += "\n";
  }
  return text;
}

std::string parameters_text(const LawFit& law) {
  std::string text = fmt::format("T(1) = {} s", interval(law.one_rank_seconds));
  for (const auto& [name, value] : law.parameters) {
    text += fmt::format(", {} = {}", name,
                        value.low == value.high ? number(value.value) : interval(value));
  }
  return text;
}

std::string laws_text(const ScalingFit& fit) {
  std::string text;
  for (const LawFit& law : fit.laws) {
    text += fmt::format("  {:<9} {}\n            {}\n            AICc {}, residual {:.2f} %\n",
                        name_of(law.law), formula_of(law.law), parameters_text(law),
                        std::isnan(law.aic) ? "-" : fmt::format("{:.1f}", law.aic),
                        100 * law.rms_residual);
  }
  return text;
}

/// Which law to believe, and how much.
std::string verdict(const ScalingFit& fit) {
  if (fit.laws.size() == 1)
    return fmt::format("{}: the only law the runs can carry", name_of(fit.laws[0].law));
  const double ahead = fit.laws[1].aic - fit.laws[0].aic;
  if (std::isnan(ahead) || ahead < 2) {
    return fmt::format("{}; {} explains them as well (AICc within 2)", name_of(fit.laws[0].law),
                       name_of(fit.laws[1].law));
  }
  return fmt::format("{}, by {:.1f} of AICc before {}", name_of(fit.laws[0].law), ahead,
                     name_of(fit.laws[1].law));
}

std::string predictions(const ScalingFit& fit) {
  const LawFit& law = fit.laws.front();
  std::string text =
      fmt::format("\npredicted by {}\n ranks  {:<30}  {}\n", name_of(law.law),
                  fit.weak ? "seconds for the work of so many" : "seconds", "speed-up");
  for (const int n : predicted_ranks(fit)) {
    text +=
        fmt::format("{:>6}  {:<30}  {}\n", n, interval(law.seconds(n)), interval(law.speedup(n)));
  }
  return text;
}

std::string stage_laws(const ScalingResult& result) {
  std::string text;
  for (std::size_t i = 1; i < result.fits.size(); ++i) {
    const LawFit* law = result.fits[i].law(Law::amdahl);
    if (law == nullptr) continue;
    text +=
        fmt::format("  {:<13} a = {}{}\n", result.fits[i].name,
                    interval(law->parameters.front().second), law->best[1] < 0 ? ": negative" : "");
  }
  return text.empty() ? "" : "\na of each stage (Amdahl's law)\n" + text;
}

}  // namespace

std::string describe(const ScalingResult& result) {
  std::string text = result.work + "\n";
  if (!result.fits.empty()) {
    text += fmt::format(
        "{} scaling; seconds from the first rank's start to the last file, without "
        "loading the model; intervals are of 95 %\n\n",
        result.weak ? "weak" : "strong");
    text += times_table(result) + stages_table(result);
    const ScalingFit& whole = result.fits.front();
    if (!whole.laws.empty()) {
      text += "\nlaws of the whole\n" + laws_text(whole);
      text += fmt::format("best explained by {}\n", verdict(whole));
      text += stage_laws(result) + predictions(whole);
    }
  }
  std::vector<std::string> warnings = result.warnings;
  if (!result.fits.empty()) {
    const auto& of_whole = result.fits.front().warnings;
    warnings.insert(warnings.end(), of_whole.begin(), of_whole.end());
  }
  if (!warnings.empty()) text += "\nto be known\n";
  for (const std::string& w : warnings) text += "  - " + w + "\n";
  return text;
}

}  // namespace weft
