#pragma once
// Owners of what a link between GPUs is made of.

#include <chrono>
#include <exception>
#include <span>
#include <string>
#include <utility>

#include "weft/device/device_link.h"

#include "check.h"

namespace weft {

/// A mark in a stream that other streams can wait for.
class NcclEvent {
 public:
  NcclEvent();
  NcclEvent(NcclEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  NcclEvent& operator=(NcclEvent&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~NcclEvent();
  void record(cudaStream_t stream);
  /// `stream` goes on when what was recorded last is done. The host does not wait.
  void hold(cudaStream_t stream) const;

 private:
  cudaEvent_t event_ = nullptr;
};

/// A stream of the highest priority: a transfer's few blocks are placed before those of a long
/// computation that is under way, else it would begin when that ends.
class NcclStream {
 public:
  NcclStream();
  ~NcclStream();
  NcclStream(const NcclStream&) = delete;
  NcclStream& operator=(const NcclStream&) = delete;
  [[nodiscard]] cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// A communicator whose calls return at once and are polled, because a call that blocks for a peer
/// that never comes could not be given up.
class NcclComm {
 public:
  /// Returns before the communicator is up: it comes up beside what the host does.
  NcclComm(const DeviceLinkId& id, int rank, int size, double timeout);
  /// Ends transfers under way in order; aborts them while an exception unwinds, after a failure, or
  /// when they do not end in time.
  ~NcclComm();
  NcclComm(const NcclComm&) = delete;
  NcclComm& operator=(const NcclComm&) = delete;

  /// Waits until it is up on all ranks; later calls do nothing. Before the first exchange().
  void bring_up();
  void exchange(std::span<const TensorMessage> sends, std::span<const TensorMessage> receives,
                cudaStream_t stream);
  void check() const;

 private:
  /// Waits until a call that may have returned ncclInProgress is done.
  void settle(ncclResult_t status, const std::string& what);
  [[noreturn]] void fail_nccl(ncclResult_t status, const std::string& what) const;
  [[nodiscard]] ncclResult_t state() const;

  ncclComm_t comm_ = nullptr;
  int rank_, size_;
  std::chrono::duration<double> timeout_;
  bool up_ = false, failed_ = false;
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace weft
