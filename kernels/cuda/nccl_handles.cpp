#include "nccl_handles.h"

#include <algorithm>
#include <thread>

#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/device/device_api.h"

#include "stream.h"

namespace weft {

NcclEvent::NcclEvent() {
  weft::check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreate");
}

NcclEvent::~NcclEvent() {
  if (event_ != nullptr) log_cuda_failure(cudaEventDestroy(event_), "cudaEventDestroy");
}

void NcclEvent::record(cudaStream_t stream) {
  weft::check(cudaEventRecord(event_, stream), "cudaEventRecord of a transfer");
}

void NcclEvent::hold(cudaStream_t stream) const {
  weft::check(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent of a transfer");
}

NcclStream::NcclStream() {
  // The compute stream chooses the device; without it this stream would be device 0's.
  static_cast<void>(cuda_stream());
  int least = 0, greatest = 0;
  weft::check(cudaDeviceGetStreamPriorityRange(&least, &greatest),
              "cudaDeviceGetStreamPriorityRange");
  weft::check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, greatest),
              "cudaStreamCreateWithPriority");
}

NcclStream::~NcclStream() { log_cuda_failure(cudaStreamDestroy(stream_), "cudaStreamDestroy"); }

NcclComm::NcclComm(const DeviceLinkId& id, int rank, int size, double timeout)
    : rank_(rank), size_(size), timeout_(timeout) {
  ncclUniqueId unique{};
  std::copy_n(id.begin(), id.size(), reinterpret_cast<std::byte*>(&unique));
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const ncclResult_t status = ncclCommInitRankConfig(&comm_, size, unique, rank, &config);
  if (status == ncclSuccess || status == ncclInProgress) return;
  const std::string text = ncclGetErrorString(status);
  if (comm_ != nullptr) ncclCommAbort(comm_);
  fail("bringing NCCL up among {} ranks: rank {}: {} (NCCL_DEBUG=INFO tells more)", size, rank,
       text);
}

void NcclComm::bring_up() {
  if (up_) return;
  settle(state(), fmt::format("bringing NCCL up among {} ranks", size_));
  up_ = true;
}

NcclComm::~NcclComm() {
  try {
    if (!failed_ && std::uncaught_exceptions() <= exceptions_) {
      bring_up();
      settle(ncclCommFinalize(comm_), "ending transfers between GPUs");
    } else {
      failed_ = true;
    }
  } catch (const std::exception& e) {  // settle() has set failed_
    log_error("{}", e.what());
  }
  const ncclResult_t ended = failed_ ? ncclCommAbort(comm_) : ncclCommDestroy(comm_);
  if (ended != ncclSuccess && ended != ncclInProgress) {
    log_error("{}: {}", failed_ ? "ncclCommAbort" : "ncclCommDestroy", ncclGetErrorString(ended));
  }
}

ncclResult_t NcclComm::state() const {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t status = ncclCommGetAsyncError(comm_, &state);
  return status == ncclSuccess ? state : status;
}

void NcclComm::settle(ncclResult_t status, const std::string& what) {
  const auto begin = std::chrono::steady_clock::now();
  while (status == ncclInProgress) {
    status = state();
    // A transfer is on its stream within some dozens of microseconds: a sleep would be longer. Only
    // who waits for another rank sleeps.
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (waited < std::chrono::milliseconds(1)) {
      std::this_thread::yield();
      continue;
    }
    if (waited > timeout_ && status == ncclInProgress) {
      failed_ = true;
      fail("{}: rank {} has waited {:.0f} s for the other ranks (NCCL_DEBUG=INFO tells more)", what,
           rank_, timeout_.count());
    }
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  if (status == ncclSuccess) return;
  failed_ = true;
  fail_nccl(status, what);
}

void NcclComm::fail_nccl(ncclResult_t status, const std::string& what) const {
  fail("{}: rank {} of {}: {} ({}; NCCL_DEBUG=INFO tells more)", what, rank_, size_,
       ncclGetErrorString(status), ncclGetLastError(comm_));
}

void NcclComm::exchange(std::span<const TensorMessage> sends,
                        std::span<const TensorMessage> receives, cudaStream_t stream) {
  weft::check(ncclGroupStart(), "ncclGroupStart");
  // The group is ended whatever happens: it belongs to the thread, not to this communicator.
  ncclResult_t status = ncclSuccess;
  const auto add = [&](auto call, const TensorMessage& m) {
    if (m.data.bytes() == 0) return;
    const ncclResult_t added = call(m.data.raw(), m.data.bytes(), ncclUint8, m.peer, comm_, stream);
    if (status == ncclSuccess && added != ncclInProgress) status = added;
  };
  for (const TensorMessage& m : receives) add(ncclRecv, m);
  for (const TensorMessage& m : sends) add(ncclSend, m);
  const ncclResult_t ended = ncclGroupEnd();
  const std::string what =
      fmt::format("{} sends and {} receives between GPUs", sends.size(), receives.size());
  settle(status == ncclSuccess ? ended : status, what);
}

void NcclComm::check() const {
  const ncclResult_t now = state();
  if (now == ncclSuccess || now == ncclInProgress) return;
  fail_nccl(now, "the network between GPUs has failed");
}

}  // namespace weft
