#pragma once
#include <filesystem>
#include <vector>

#include "weft/io/image.h"
#include "weft/run/sweep.h"

namespace weft {

/// Whether one picture can show them.
bool fits_sheet(const Sweep& sweep);

/// `clips`: by point. Error when one cannot be read.
Image draw_sheet(const Sweep& sweep, const std::vector<std::filesystem::path>& clips);

}  // namespace weft
