#include "mailbox.h"

#include <type_traits>

#include <cuda.h>
#include <dlfcn.h>

#include "weft/base/error.h"

namespace weft {
namespace {

/// Two calls of the driver that the runtime does not have. They are looked up because a program
/// linked with the driver's library does not start on a machine without one.
struct Driver {
  decltype(&cuStreamWaitValue32) wait_value;
  decltype(&cuStreamWriteValue32) write_value;

  Driver() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    const auto find = [&](auto& call, const char* name) {
      call = library == nullptr
                 ? nullptr
                 : reinterpret_cast<std::remove_reference_t<decltype(call)>>(dlsym(library, name));
    };
    find(wait_value, "cuStreamWaitValue32_v2");
    find(write_value, "cuStreamWriteValue32_v2");
  }
};

const Driver& driver() {
  static const Driver found;
  return found;
}

void require(CUresult status, const char* call) {
  if (status != CUDA_SUCCESS) fail("{}: error {} of the driver", call, static_cast<int>(status));
}

}  // namespace

bool stream_counters_usable() {
  return driver().wait_value != nullptr && driver().write_value != nullptr;
}

void wait_for_counter(cudaStream_t stream, Counter counter, std::uint32_t n) {
  require(driver().wait_value(stream, reinterpret_cast<CUdeviceptr>(counter), n,
                              CU_STREAM_WAIT_VALUE_GEQ),
          "cuStreamWaitValue32");
}

void write_counter(cudaStream_t stream, Counter counter, std::uint32_t n) {
  require(driver().write_value(stream, reinterpret_cast<CUdeviceptr>(counter), n,
                               CU_STREAM_WRITE_VALUE_DEFAULT),
          "cuStreamWriteValue32");
}

OwnMailbox::OwnMailbox(const MailboxSize& size) : Mailbox(size) {
  void* data = nullptr;
  const std::size_t bytes = size.slots * size.slot_bytes;
  check(cudaMalloc(&data, counter_bytes + bytes),
        fmt::format("cudaMalloc of a mailbox of {} MB", bytes >> 20));
  data_ = static_cast<std::byte*>(data);
  check(cudaMemset(data_, 0, counter_bytes), "cudaMemset");
  check(cudaStreamSynchronize(nullptr), "clearing a mailbox");  // not the device: others may wait
}

OwnMailbox::~OwnMailbox() { log_cuda_failure(cudaFree(data_), "cudaFree"); }

cudaIpcMemHandle_t OwnMailbox::handle() const {
  cudaIpcMemHandle_t handle{};
  check(cudaIpcGetMemHandle(&handle, data_), "cudaIpcGetMemHandle");
  return handle;
}

MappedMailbox::MappedMailbox(const cudaIpcMemHandle_t& handle, const MailboxSize& size)
    : Mailbox(size) {
  void* data = nullptr;
  status_ = cudaIpcOpenMemHandle(&data, handle, cudaIpcMemLazyEnablePeerAccess);
  static_cast<void>(cudaGetLastError());
  if (status_ == cudaSuccess) data_ = static_cast<std::byte*>(data);
}

MappedMailbox::~MappedMailbox() {
  if (data_ != nullptr) log_cuda_failure(cudaIpcCloseMemHandle(data_), "cudaIpcCloseMemHandle");
}

std::string MappedMailbox::problem() const {
  if (status_ == cudaSuccess) return "";
  return fmt::format("cannot be mapped: {}", cudaGetErrorString(status_));
}

}  // namespace weft
