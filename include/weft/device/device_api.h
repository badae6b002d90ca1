#pragma once
// Memory of one kind of device. The CUDA one is nullptr in a build or on a machine without CUDA.
//
// All work on a CUDA device is done in order on one stream per process: memory is given out and
// taken back in that order (nothing waits), and copies within the device are asynchronous.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "weft/base/shape.h"

namespace weft {

/// Bytes of device memory: in use now, the most in use since the last reset, free for others.
struct DeviceMemory {
  std::size_t used = 0, peak = 0, free = 0, total = 0;
};

/// `slices` x `rows` pieces of `width` bytes; the steps from one row and one slice to the next are
/// in bytes. The two sides do not overlap.
struct PitchedCopy {
  void* to;
  std::size_t to_row, to_slice;
  const void* from;
  std::size_t from_row, from_slice;
  std::size_t width, rows, slices;
};

struct DeviceApi {
  void* (*allocate)(std::size_t bytes);
  void (*release)(void* data) noexcept;
  /// The host's side may be used or changed as soon as these two return.
  void (*copy_from_host)(void* device, const void* host, std::size_t bytes);
  void (*copy_to_host)(void* host, const void* device, std::size_t bytes);
  void (*copy_within)(void* to, const void* from, std::size_t bytes);
  void (*zero)(void* data, std::size_t bytes);
  /// Loads `count` elements of type `from` (f32, f16, bf16; any alignment: a mapped file) as type
  /// `to` (f32 or bf16): pinned staging, converted on the device. Returns when `host` was read.
  void (*load)(void* device, DType to, const void* host, DType from, std::int64_t count);
  DeviceMemory (*memory)();
  void (*reset_peak)();
  void (*copy_pitched)(std::span<const PitchedCopy> copies);  // within the device
  /// Memory of the host that copies reach without a stop. Both wait for the device.
  void* (*allocate_pinned)(std::size_t bytes);
  void (*release_pinned)(void* data) noexcept;
  /// Returns before the copy is done.
  void (*start_to_host)(void* pinned, const void* device, std::size_t bytes);
  /// A mark is reached when everything asked for before set_mark() is done.
  void* (*make_mark)();
  void (*set_mark)(void* mark);
  bool (*reached)(void* mark);
  void (*release_mark)(void* mark) noexcept;
};

/// nullptr when this build has no CUDA (kernels/cuda_absent.cpp) or the machine has no usable GPU.
const DeviceApi* cuda_device_api();
/// Why nothing can be computed on CUDA ("built without CUDA", "no CUDA device: ...", "the GPU is of
/// compute capability 7.5"), or "".
std::string cuda_absent_reason();
/// CUDA devices of this machine; 0 without CUDA.
int cuda_device_count();
/// PCI address of the device in use: two processes of one host that have the same share a GPU.
/// Throws without CUDA.
std::string cuda_device_bus_id();
/// Name of the device in use ("NVIDIA H200"). Throws without CUDA.
std::string cuda_device_name();
/// "name version" of the driver, the runtime and the libraries beside it; empty without CUDA.
std::vector<std::string> cuda_versions();
/// Chooses the device of this process, before anything is allocated. Throws when another one is in
/// use already or this one cannot be used.
void use_cuda_device(int index);

}  // namespace weft
