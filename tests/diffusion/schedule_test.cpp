// Noise levels and timesteps where the last bit matters; whole grids are in the golden ladder.
#include "weft/diffusion/schedule.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

using Timesteps = std::vector<double>;

TEST(Schedule, UniPcTruncatesToTheReferencesTimesteps) {
  EXPECT_EQ(unipc_schedule(4, 3, 1000).timesteps, (Timesteps{999, 900, 750, 500}));
  // Every noise level is a whole timestep here, give or take the last bit of a double; the numbers
  // are those of numpy.linspace(1, 0.001, 10).
  EXPECT_EQ(unipc_schedule(9, 1, 1000).timesteps,
            (Timesteps{999, 889, 778, 667, 556, 444, 333, 222, 111}));
  EXPECT_EQ(unipc_schedule(51, 6, 1000).timesteps[50], 112);
}

TEST(Schedule, OneStepGoesFromNoiseToTheClip) {
  const Schedule unipc = unipc_schedule(1, 5, 1000);
  EXPECT_EQ(unipc.sigmas, (std::vector<float>{1 - 1e-6F, 0}));
  EXPECT_EQ(unipc.timesteps, Timesteps{999});
  const Schedule euler = euler_schedule(1, 5, 1000);
  EXPECT_EQ(euler.sigmas, (std::vector<float>{1, 0}));
  EXPECT_EQ(euler.timesteps, Timesteps{1000});
}

TEST(Schedule, EulerShiftsTwiceAndKeepsFractions) {
  const Schedule schedule = euler_schedule(3, 3, 1000);
  EXPECT_EQ(schedule.sigmas, (std::vector<float>{1, 0.75112110F, 0.0089285718F, 0}));
  EXPECT_FLOAT_EQ(static_cast<float>(schedule.timesteps[1]), 751.1211F);
}

}  // namespace
}  // namespace weft
