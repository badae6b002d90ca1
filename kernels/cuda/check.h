#pragma once
// Every CUDA call passes through check(): a failed one becomes an Error with the call, what CUDA
// says, and the place.

#include <source_location>
#include <string_view>

#include <cuda_runtime_api.h>

namespace weft {

using Here = std::source_location;

/// Throws unless `status` is success. `what` names the call and its size: "cudaMalloc, 3 GB".
void check(cudaError_t status, std::string_view what, Here here = Here::current());

/// Other libraries' status codes convert to integers; none may slip in here.
void check(auto, std::string_view, Here = Here::current()) = delete;

}  // namespace weft
