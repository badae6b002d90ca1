#include "outliers.h"

#include <algorithm>
#include <cmath>

#include "weft/base/error.h"

namespace weft {
namespace {

constexpr double level = 0.05;  // of calling a good point bad, over all points (Bonferroni)

struct Miss {
  double residual = 0;     // relative, of the point left out
  double probability = 1;  // of missing by so much by chance
};

/// How the fit of the other points misses point `out`.
Miss miss_of(LinearLaw law, const RepeatScatter& repeats, const std::vector<ScalingPoint>& points,
             std::size_t out) {
  std::vector<ScalingPoint> others = points;
  others[out].outlier = true;
  const std::vector<Equation> kept = kept_equations(law, others);
  const auto fit = relative_least_squares(kept, law.parameters, law.bounded);
  if (!fit) return {};
  const auto free = static_cast<double>(kept.size()) - law.parameters;
  const Noise noise = noise_around(fit->rss, free, repeats);
  if (noise.dof < 2) return {};  // one number is no measure of noise
  const double residual = fit->residual(law.equations[out]);
  // A bounded parameter that is 0 could only make the point slower: where it is faster, the law
  // without that parameter judges.
  if (law.bounded && residual < 0 && fit->beta[law.parameters - 1] == 0) {
    --law.parameters;
    return miss_of(std::move(law), repeats, points, out);
  }
  const double variance = noise.variance * (1 + fit->variance(law.equations[out]));
  return {residual, f_tail(residual * residual / variance, 1, noise.dof)};
}

/// Whether the law passes through all points within the scatter of their repeats.
bool explains_all(const LinearLaw& law, const RepeatScatter& repeats,
                  const std::vector<ScalingPoint>& points) {
  const std::vector<Equation> kept = kept_equations(law, points);
  const auto fit = relative_least_squares(kept, law.parameters, law.bounded);
  const auto free = static_cast<double>(kept.size()) - law.parameters;
  return fit && free > 0 && repeats.dof > 0 && !noise_around(fit->rss, free, repeats).lack_of_fit;
}

}  // namespace

void set_outliers_aside(const std::vector<LinearLaw>& laws, const RepeatScatter& repeats,
                        std::vector<ScalingPoint>& points, std::vector<std::string>& warnings) {
  const std::size_t most = points.size() / 4;
  for (std::size_t count = 0; count < most; ++count) {
    const auto left = points.size() - count;
    if (std::any_of(laws.begin(), laws.end(),
                    [&](const LinearLaw& law) { return explains_all(law, repeats, points); })) {
      return;
    }
    // The point that even the law kindest to it misses the most.
    std::size_t worst = points.size();
    Miss worst_miss;
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (points[i].outlier) continue;
      Miss kindest{0, 0};
      for (const LinearLaw& law : laws) {
        if (std::ssize(points) - static_cast<std::ptrdiff_t>(count) < law.parameters + 2) continue;
        const Miss miss = miss_of(law, repeats, points, i);
        if (miss.probability > kindest.probability || kindest.residual == 0) kindest = miss;
      }
      if (kindest.probability < worst_miss.probability) {
        worst = i;
        worst_miss = kindest;
      }
    }
    if (worst == points.size() || worst_miss.probability * static_cast<double>(left) > level) {
      return;
    }
    points[worst].outlier = true;
    warnings.push_back(fmt::format(
        "The {} run{} on {} rank{} {} set aside: {:.1f} % {} than the law that the others follow.",
        points[worst].repeats, points[worst].repeats == 1 ? "" : "s", points[worst].ranks,
        points[worst].ranks == 1 ? "" : "s", points[worst].repeats == 1 ? "is" : "are",
        100 * std::abs(worst_miss.residual), worst_miss.residual > 0 ? "slower" : "faster"));
  }
}

}  // namespace weft
