// Stages as a profiler sees them, nested as they are; needs no GPU. See nvtx_injection.cpp.
#include "weft/base/stages.h"

#include "ranges.h"

int main() {
  using namespace weft;
  cuda::name_ranges();
  Profile profile;
  {
    const ScopedStage denoise(profile, Stage::denoise, 0);
    const ScopedStage exchange(profile, Stage::exchange, 0);
  }
  const ScopedStage decode(profile, Stage::decode);
  return 0;
}
