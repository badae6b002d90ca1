// Memory of a CUDA device through the runtime API. Copies block: the caller may use either side as
// soon as a call returns.
#include <fmt/format.h>

#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/device/device_api.h"

#include "check.h"
#include "cuda_ops.h"

namespace weft {
namespace {

double gigabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1e9; }

void* allocate(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    fail(
        "out of GPU memory: {:.2f} GB asked for, {:.2f} of {:.2f} GB free: render smaller windows "
        "(--window WxHxF) or use a larger GPU",
        gigabytes(bytes), gigabytes(free), gigabytes(total));
  }
  check(status, fmt::format("cudaMalloc of {:.2f} GB", gigabytes(bytes)));
  return data;
}

// Called from destructors: an error is told, never thrown. At exit the runtime may be gone already,
// and the memory with it.
void release(void* data) noexcept {
  const cudaError_t status = cudaFree(data);
  if (status == cudaSuccess || status == cudaErrorCudartUnloading) return;
  try {
    log_error("cudaFree: {}", cudaGetErrorString(status));
  } catch (...) {  // no memory for a message is no reason to end the program
  }
}

void copy_from_host(void* device, const void* host, std::size_t bytes) {
  check(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice), "cudaMemcpy from the host");
}

void copy_to_host(void* host, const void* device, std::size_t bytes) {
  check(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost), "cudaMemcpy to the host");
}

void copy_within(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToDevice), "cudaMemcpy on the device");
  // Between two device buffers cudaMemcpy returns before it is done.
  check(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize after a copy on the device");
}

// Why no CUDA device can be used, or "". Asked once: the answer cannot change while we run.
const std::string& device_problem() {
  static const std::string problem = [] {
    int devices = 0;
    const cudaError_t status = cudaGetDeviceCount(&devices);
    static_cast<void>(cudaGetLastError());
    if (status == cudaSuccess && devices > 0) return std::string();
    return fmt::format("no CUDA device: {}",
                       status == cudaSuccess ? "none is visible" : cudaGetErrorString(status));
  }();
  return problem;
}

}  // namespace

const DeviceApi* cuda_device_api() {
  static constexpr DeviceApi api{allocate, release, copy_from_host, copy_to_host, copy_within};
  return device_problem().empty() ? &api : nullptr;
}

std::string cuda_absent_reason() {
  return device_problem().empty() ? cuda_ops_absent_reason() : device_problem();
}

}  // namespace weft
