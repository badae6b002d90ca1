#pragma once
#include <cstddef>
#include <string>

namespace weft {

/// From now on a fault (SIGBUS) in [data, data + bytes) ends the process with a line that names
/// `file`. As long as there is room in a table of fixed size; later ranges are simply not named.
void name_faults(const void* data, std::size_t bytes, const std::string& file);
/// The range is about to be unmapped.
void forget_faults(const void* data);

}  // namespace weft
