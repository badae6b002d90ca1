#pragma once
// Every CUDA call passes through check(): a failed one becomes an Error with the call, what CUDA
// says, and the place.

#include <source_location>
#include <string_view>

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <nccl.h>

namespace weft {

using Here = std::source_location;

/// Throws unless `status` is success. `what` names the call and its size: "cudaMalloc, 3 GB".
void check(cudaError_t status, std::string_view what, Here here = Here::current());
void check(cublasStatus_t status, std::string_view what, Here here = Here::current());
void check(cudnnStatus_t status, std::string_view what, Here here = Here::current());
/// ncclInProgress is no success: who asks a communicator that does not block waits for it first.
void check(ncclResult_t status, std::string_view what, Here here = Here::current());

/// Other libraries' status codes convert to integers; none may slip in here.
void check(auto, std::string_view, Here = Here::current()) = delete;

/// After every launch of a kernel: a bad launch is told at once; a fault inside the kernel too when
/// the environment variable WEFT_SYNC is 1, else at the next call that waits.
void check_launch(const char* kernel, Here here = Here::current());

/// For destructors: a failure is told, never thrown.
void log_cuda_failure(cudaError_t status, const char* call);

}  // namespace weft
