#include "ranges.h"

#include <nvtx3/nvToolsExt.h>

#include "weft/base/stages.h"

namespace weft::cuda {

void name_ranges() {
  static constexpr RangeHooks hooks{[](const char* name) { nvtxRangePushA(name); },
                                    [] { nvtxRangePop(); }};
  set_range_hooks(&hooks);
}

}  // namespace weft::cuda
