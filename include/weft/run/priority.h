#pragma once
// How urgent a job of a list is.

#include <cstdint>

namespace weft {

enum class Priority : std::uint8_t { high, normal, low };

}  // namespace weft
