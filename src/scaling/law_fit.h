#pragma once
// One law fitted to the points: from equations to a LawFit.

#include <span>

#include "weft/scaling/fit.h"

#include "least_squares.h"
#include "noise.h"

namespace weft {

/// How a law is written for least squares.
struct LinearLaw {
  Law law = Law::amdahl;
  int parameters = 2;
  bool bounded = false;
  std::vector<Equation> equations;  // by point
};
/// amdahl, usl: {T1, T1 a} or {T1, T1 sigma, T1 kappa}. exchange: {parallel, serial, 1/bandwidth},
/// the last one only when no bandwidth is given.
LinearLaw linear_law(Law law, std::span<const ScalingPoint> points,
                     std::optional<double> bandwidth);

/// The equations of points that were not set aside.
std::vector<Equation> kept_equations(const LinearLaw& law, std::span<const ScalingPoint> points);

/// Everything of the fit but `aic`. Nothing when the points do not determine it.
std::optional<LawFit> fit_law(const LinearLaw& law, std::span<const ScalingPoint> points,
                              const RepeatScatter& repeats, std::optional<double> bandwidth);

}  // namespace weft
