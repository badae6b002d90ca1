#include "weft/diffusion/schedule.h"

#include <cmath>

namespace weft {
namespace {

/// The shift map, in the type it is computed in: s u / (1 + (s - 1) u).
template <class Float>
Float shifted(double shift, Float u) {
  return static_cast<Float>(shift) * u / (1 + static_cast<Float>(shift - 1) * u);
}

/// Value i of 0 ... intervals between `first` and `last`. The reference's grids are numpy.linspace,
/// and this is its order of operations: where noise levels are whole timesteps (9 steps, shift 1)
/// the last bit decides which number truncation gives.
double linspace(double first, double last, int intervals, int i) {
  if (i == 0) return first;
  if (i == intervals) return last;
  return i * ((last - first) / intervals) + first;
}

}  // namespace

Schedule unipc_schedule(int steps, double shift, std::int64_t train_steps) {
  const auto n = static_cast<double>(train_steps);
  Schedule s;
  for (int i = 0; i < steps; ++i) {
    double sigma = shifted(shift, linspace(1, 1 / n, steps, i));
    // At sigma = 1 alpha would be 0 and lambda minus infinity.
    if (std::abs(sigma - 1) < 1e-6) sigma -= 1e-6;
    s.timesteps.push_back(std::trunc(n * sigma));
    s.sigmas.push_back(static_cast<float>(sigma));
  }
  s.sigmas.push_back(0);
  return s;
}

Schedule euler_schedule(int steps, double shift, std::int64_t train_steps) {
  const auto n = static_cast<double>(train_steps);
  // The bounds are timesteps of the once-shifted grid, which the reference keeps in float32.
  const double highest = shifted(shift, 1.0F) * n;
  const double lowest = shifted(shift, 1.0F / static_cast<float>(train_steps)) * n;
  Schedule s;
  for (int i = 0; i < steps; ++i) {
    const auto sigma =
        static_cast<float>(shifted(shift, linspace(highest, lowest, steps - 1, i) / n));
    s.sigmas.push_back(sigma);
    s.timesteps.push_back(sigma * static_cast<float>(train_steps));
  }
  s.sigmas.push_back(0);
  return s;
}

}  // namespace weft
