#pragma once
// Memory of one kind of device. The CUDA one is nullptr in a build or on a machine without CUDA.

#include <cstddef>
#include <string>

namespace weft {

struct DeviceApi {
  void* (*allocate)(std::size_t bytes);
  void (*release)(void* data) noexcept;
  void (*copy_from_host)(void* device, const void* host, std::size_t bytes);
  void (*copy_to_host)(void* host, const void* device, std::size_t bytes);
  void (*copy_within)(void* to, const void* from, std::size_t bytes);
};

/// nullptr when this build has no CUDA (kernels/cuda_absent.cpp) or the machine has no usable GPU.
const DeviceApi* cuda_device_api();
/// Why nothing can be computed on CUDA ("built without CUDA", "no CUDA device: ...", "no CUDA
/// operations yet"), or "". Choose a device by this: memory alone renders nothing.
std::string cuda_absent_reason();

}  // namespace weft
