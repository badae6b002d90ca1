// Memory of a CUDA device: given out in stream order from a pool that keeps what was freed, so that
// a temporary tensor costs microseconds and nothing waits.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <fmt/format.h>

#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/device/device_api.h"

#include "check.h"
#include "copy_pitched.h"
#include "ranges.h"
#include "stream.h"

namespace weft {
namespace {

double gigabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1e9; }

// The device in use. Made by the first call that needs it; lives as long as the process, because
// tensors may outlive everything else.
struct Device {
  int index = 0;
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;
};

int& wanted_index() {
  static int index = 0;
  return index;
}

// Streams that share a queue of the device wait for each other, and one that waits for another rank
// (peer_copies.h) may hold up what that rank waits for: by default eight queues, four for copies to
// other GPUs. Before main, while no other thread reads the environment and CUDA has not.
[[maybe_unused]] const int asked_for_queues =
    setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", /*overwrite=*/0);

const Device& device() {
  static const Device made = [] {
    Device d;
    d.index = wanted_index();
    check(cudaSetDevice(d.index), fmt::format("cudaSetDevice({})", d.index));
    check(cudaStreamCreateWithFlags(&d.stream, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaDeviceGetDefaultMemPool(&d.pool, d.index), "cudaDeviceGetDefaultMemPool");
    std::uint64_t keep_all = UINT64_MAX;
    check(cudaMemPoolSetAttribute(d.pool, cudaMemPoolAttrReleaseThreshold, &keep_all),
          "cudaMemPoolSetAttribute");
    return d;
  }();
  return made;
}

std::uint64_t pool_attribute(cudaMemPoolAttr attribute) {
  std::uint64_t value = 0;
  check(cudaMemPoolGetAttribute(device().pool, attribute, &value), "cudaMemPoolGetAttribute");
  return value;
}

DeviceMemory memory() {
  DeviceMemory m;
  check(cudaMemGetInfo(&m.free, &m.total), "cudaMemGetInfo");
  m.used = pool_attribute(cudaMemPoolAttrUsedMemCurrent);
  m.peak = pool_attribute(cudaMemPoolAttrUsedMemHigh);
  m.free += pool_attribute(cudaMemPoolAttrReservedMemCurrent) - m.used;  // ours to use again
  return m;
}

void reset_peak() {
  std::uint64_t zero = 0;
  check(cudaMemPoolSetAttribute(device().pool, cudaMemPoolAttrUsedMemHigh, &zero),
        "cudaMemPoolSetAttribute");
}

void* allocate(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMallocAsync(&data, std::max<std::size_t>(bytes, 1), cuda_stream());
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    const DeviceMemory m = memory();
    fail(
        "out of GPU memory: {:.2f} GB asked for, {:.2f} of {:.2f} GB free: render smaller windows "
        "(--window WxHxF), share the job among more GPUs, or use a larger one",
        gigabytes(bytes), gigabytes(m.free), gigabytes(m.total));
  }
  check(status, fmt::format("cudaMallocAsync of {:.2f} GB", gigabytes(bytes)));
  return data;
}

// Called from destructors: an error is told, never thrown. At exit the runtime may be gone already,
// and the memory with it.
void tell(cudaError_t status, const char* call) noexcept {
  if (status == cudaSuccess || status == cudaErrorCudartUnloading) return;
  try {
    log_error("{}: {}", call, cudaGetErrorString(status));
  } catch (...) {  // no memory for a message is no reason to end the program
  }
}

void release(void* data) noexcept { tell(cudaFreeAsync(data, device().stream), "cudaFreeAsync"); }

void copy_from_host(void* to, const void* host, std::size_t bytes) {
  check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, cuda_stream()),
        "cudaMemcpyAsync from the host");
  check(cudaStreamSynchronize(cuda_stream()), "waiting for a copy from the host");
}

void copy_to_host(void* host, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, cuda_stream()),
        "cudaMemcpyAsync to the host");
  check(cudaStreamSynchronize(cuda_stream()), "waiting for a copy to the host");
}

void copy_within(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda_stream()),
        "cudaMemcpyAsync on the device");
}

void* allocate_pinned(std::size_t bytes) {
  void* data = nullptr;
  static_cast<void>(device());  // the memory is pinned for the device in use
  check(cudaMallocHost(&data, std::max<std::size_t>(bytes, 1)),
        fmt::format("cudaMallocHost of {:.2f} GB", gigabytes(bytes)));
  return data;
}

void release_pinned(void* data) noexcept { tell(cudaFreeHost(data), "cudaFreeHost"); }

void start_to_host(void* pinned, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(pinned, from, bytes, cudaMemcpyDeviceToHost, cuda_stream()),
        "cudaMemcpyAsync to pinned memory");
}

void* make_mark() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  return event;
}

void set_mark(void* mark) {
  check(cudaEventRecord(static_cast<cudaEvent_t>(mark), cuda_stream()), "cudaEventRecord");
}

bool reached(void* mark) {
  const cudaError_t status = cudaEventQuery(static_cast<cudaEvent_t>(mark));
  if (status == cudaErrorNotReady) return false;
  check(status, "waiting for the device");
  return true;
}

void release_mark(void* mark) noexcept {
  tell(cudaEventDestroy(static_cast<cudaEvent_t>(mark)), "cudaEventDestroy");
}

void zero(void* data, std::size_t bytes) {
  check(cudaMemsetAsync(data, 0, bytes, cuda_stream()), "cudaMemsetAsync");
}

// ---- loading ---------------------------------------------------------------------------------

__device__ float to_float(float x) { return x; }
__device__ float to_float(__half x) { return __half2float(x); }
__device__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ void set(float& to, float x) { to = x; }
__device__ void set(__nv_bfloat16& to, float x) { to = __float2bfloat16_rn(x); }

template <class From, class To>
__global__ void convert(const From* from, To* to, std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    set(to[i], to_float(from[i]));
  }
}

template <class From>
void launch_convert(const void* from, void* to, DType type, std::int64_t count) {
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>((count + 255) / 256, 4096));
  const auto* source = static_cast<const From*>(from);
  if (type == DType::f32) {
    convert<<<blocks, 256, 0, cuda_stream()>>>(source, static_cast<float*>(to), count);
  } else {
    convert<<<blocks, 256, 0, cuda_stream()>>>(source, static_cast<__nv_bfloat16*>(to), count);
  }
  check_launch("convert");
}

// Two pinned buffers: one is filled from the mapped file by several threads (one thread cannot
// keep the bus busy) while the other travels.
class Staging {
 public:
  static constexpr std::size_t bytes = std::size_t{64} << 20;

  Staging() {
    for (Buffer& b : buffers_) {
      check(cudaMallocHost(&b.data, bytes), "cudaMallocHost of 64 MB");
      check(cudaEventCreateWithFlags(&b.sent, cudaEventDisableTiming), "cudaEventCreate");
    }
  }

  /// Copies [from, from + n) into a buffer that is free and returns it.
  void* fill(const std::byte* from, std::size_t n) {
    next_ = 1 - next_;
    Buffer& b = buffers_[next_];
    check(cudaEventSynchronize(b.sent), "waiting for a staging buffer");
    const std::size_t threads = n < (std::size_t{1} << 20) ? 1 : readers_;
    const std::size_t part = (n + threads - 1) / threads;
    std::vector<std::jthread> others;
    for (std::size_t t = 1; t < threads; ++t) {
      const std::size_t begin = std::min(n, t * part);
      others.emplace_back([=, to = static_cast<std::byte*>(b.data)] {
        std::memcpy(to + begin, from + begin, std::min(part, n - begin));
      });
    }
    std::memcpy(b.data, from, std::min(part, n));
    return b.data;
  }
  /// The buffer of the last fill() is free again when what was asked for until now is done.
  void sent() { check(cudaEventRecord(buffers_[next_].sent, cuda_stream()), "cudaEventRecord"); }

 private:
  struct Buffer {
    void* data = nullptr;
    cudaEvent_t sent = nullptr;
  };
  std::array<Buffer, 2> buffers_;
  std::size_t next_ = 0;
  std::size_t readers_ = std::clamp(std::thread::hardware_concurrency() / 2, 1U, 8U);
};

void load(void* to, DType to_type, const void* host, DType from_type, std::int64_t count) {
  static Staging staging;  // as long as the process, like the device
  WEFT_ASSERT(to_type == DType::f32 || to_type == DType::bf16, "load as {}", dtype_name(to_type));
  const std::size_t from_size = dtype_size(from_type);
  const std::size_t to_size = dtype_size(to_type);
  const std::int64_t piece = static_cast<std::int64_t>(Staging::bytes / from_size);
  void* raw = from_type == to_type
                  ? nullptr
                  : allocate(static_cast<std::size_t>(std::min(piece, count)) * from_size);
  for (std::int64_t begin = 0; begin < count; begin += piece) {
    const std::int64_t n = std::min(piece, count - begin);
    const std::size_t bytes = static_cast<std::size_t>(n) * from_size;
    const void* pinned = staging.fill(
        static_cast<const std::byte*>(host) + static_cast<std::size_t>(begin) * from_size, bytes);
    std::byte* out = static_cast<std::byte*>(to) + static_cast<std::size_t>(begin) * to_size;
    void* target = raw == nullptr ? out : raw;
    check(cudaMemcpyAsync(target, pinned, bytes, cudaMemcpyHostToDevice, cuda_stream()),
          "cudaMemcpyAsync of weights");
    staging.sent();
    if (raw == nullptr) continue;
    if (from_type == DType::f32) launch_convert<float>(raw, out, to_type, n);
    if (from_type == DType::f16) launch_convert<__half>(raw, out, to_type, n);
    if (from_type == DType::bf16) launch_convert<__nv_bfloat16>(raw, out, to_type, n);
  }
  if (raw != nullptr) release(raw);
}

// ---- is there a device -------------------------------------------------------------------------

constexpr int oldest_major = 8;  // Ampere: bfloat16 in the tensor cores, stream-ordered pools

// Why no CUDA device can be used, or "". Asked once: the answer cannot change while we run.
const std::string& device_problem() {
  static const std::string problem = []() -> std::string {
    int devices = 0;
    const cudaError_t status = cudaGetDeviceCount(&devices);
    static_cast<void>(cudaGetLastError());
    if (status == cudaErrorInsufficientDriver) {
      return fmt::format("no NVIDIA driver for CUDA {}.{} or newer is installed",
                         CUDART_VERSION / 1000, CUDART_VERSION / 10 % 100);
    }
    if (status != cudaSuccess) return fmt::format("no CUDA device: {}", cudaGetErrorString(status));
    if (devices == 0) return "no CUDA device: none is visible (CUDA_VISIBLE_DEVICES?)";
    for (int i = 0; i < devices; ++i) {
      cudaDeviceProp p{};
      check(cudaGetDeviceProperties(&p, i), "cudaGetDeviceProperties");
      if (p.major < oldest_major) {
        return fmt::format("device {} ({}) is of compute capability {}.{}, and weft needs {}.0", i,
                           p.name, p.major, p.minor, oldest_major);
      }
    }
    return "";
  }();
  return problem;
}

}  // namespace

void use_cuda_device(int index) {
  wanted_index() = index;
  WEFT_ASSERT(device().index == index, "device {} is in use already", device().index);
  cuda::name_ranges();
}

cudaStream_t cuda_stream() { return device().stream; }

const DeviceApi* cuda_device_api() {
  static constexpr DeviceApi api{.allocate = allocate,
                                 .release = release,
                                 .copy_from_host = copy_from_host,
                                 .copy_to_host = copy_to_host,
                                 .copy_within = copy_within,
                                 .zero = zero,
                                 .load = load,
                                 .memory = memory,
                                 .reset_peak = reset_peak,
                                 .copy_pitched = cuda::copy_pitched,
                                 .allocate_pinned = allocate_pinned,
                                 .release_pinned = release_pinned,
                                 .start_to_host = start_to_host,
                                 .make_mark = make_mark,
                                 .set_mark = set_mark,
                                 .reached = reached,
                                 .release_mark = release_mark};
  return device_problem().empty() ? &api : nullptr;
}

std::string cuda_absent_reason() { return device_problem(); }

int cuda_device_count() {
  int devices = 0;
  return device_problem().empty() && cudaGetDeviceCount(&devices) == cudaSuccess ? devices : 0;
}

std::string cuda_device_name() {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device().index), "cudaGetDeviceProperties");
  return properties.name;
}

std::string cuda_device_bus_id() {
  std::array<char, 32> id{};
  check(cudaDeviceGetPCIBusId(id.data(), static_cast<int>(id.size()), device().index),
        "cudaDeviceGetPCIBusId");
  return id.data();
}

}  // namespace weft
