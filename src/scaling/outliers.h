#pragma once
// Bad points: found by leaving each out in turn (scaling/fit.h says why and when).

#include <string>
#include <vector>

#include "law_fit.h"

namespace weft {

/// Marks points and says so in `warnings`.
void set_outliers_aside(const std::vector<LinearLaw>& laws, const RepeatScatter& repeats,
                        std::vector<ScalingPoint>& points, std::vector<std::string>& warnings);

}  // namespace weft
