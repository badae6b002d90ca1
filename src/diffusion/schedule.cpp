#include "weft/diffusion/schedule.h"

#include <cmath>

namespace weft {
namespace {

double shifted(double shift, double u) { return shift * u / (1 + (shift - 1) * u); }

}  // namespace

Schedule unipc_schedule(int steps, double shift, std::int64_t train_steps) {
  const auto n = static_cast<double>(train_steps);
  Schedule s;
  for (int i = 0; i < steps; ++i) {
    const double u = 1 + (1 / n - 1) * i / steps;
    double sigma = shifted(shift, u);
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
  // The bounds are float32 values of the once-shifted grid, as stored by the reference.
  const double highest = static_cast<float>(shifted(shift, 1.0));
  const double lowest = static_cast<float>(shifted(shift, 1.0 / n));
  Schedule s;
  for (int i = 0; i < steps; ++i) {
    const double at =
        steps == 1 ? highest : highest + (lowest - highest) * i / static_cast<double>(steps - 1);
    const auto sigma = static_cast<float>(shifted(shift, at));
    s.sigmas.push_back(sigma);
    s.timesteps.push_back(sigma * static_cast<float>(train_steps));
  }
  s.sigmas.push_back(0);
  return s;
}

}  // namespace weft
