#pragma once
#include <span>

#include "weft/device/device_api.h"

namespace weft::cuda {

/// Asks the compute stream for all of them: see DeviceApi::copy_pitched.
void copy_pitched(std::span<const PitchedCopy> copies);

}  // namespace weft::cuda
