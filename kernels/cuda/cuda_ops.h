#pragma once
// What the CUDA operations say of themselves to the rest of this folder.

#include <string>

namespace weft {

/// Why make_cuda_ops() returns nullptr on a machine whose CUDA device works, or "".
std::string cuda_ops_absent_reason();

}  // namespace weft
