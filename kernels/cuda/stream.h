#pragma once
// The one stream of this process: every kernel, copy and allocation goes through it, in order.

#include <cuda_runtime_api.h>

namespace weft {

cudaStream_t cuda_stream();

}  // namespace weft
