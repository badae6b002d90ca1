#pragma once
// Noise levels and timesteps of a flow-matching run (spec 5).

#include <cstdint>
#include <vector>

namespace weft {

struct Schedule {
  std::vector<float> sigmas;      // [steps + 1], the last one 0
  std::vector<double> timesteps;  // [steps], what the transformer is given
};

/// UniPC's grid: u_i = 1 + (1/train_steps - 1) i / steps, sigma = shift u / (1 + (shift - 1) u),
/// timesteps truncated to whole numbers.
Schedule unipc_schedule(int steps, double shift, std::int64_t train_steps);

/// FlowMatchEuler's grid: the shift is applied twice, timesteps are not truncated.
Schedule euler_schedule(int steps, double shift, std::int64_t train_steps);

}  // namespace weft
