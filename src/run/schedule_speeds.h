#pragma once

#include <span>
#include <vector>

#include "weft/run/schedule.h"

namespace weft {

/// One speed above 0 per worker: the mean of the known ones where it is not known, 1 when none is.
std::vector<double> known_speeds(std::span<const Worker> workers);

}  // namespace weft
