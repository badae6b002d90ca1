#pragma once
// A copy to the host beside which the device is given its next work.

#include "weft/device/tensor.h"

namespace weft {

/// One copy at a time through pinned memory of its own; on the CPU nothing is copied.
class HostCopy {
 public:
  /// `most`: bytes of the largest tensor. Waits for the device, as making pinned memory does.
  HostCopy(DeviceKind device, std::size_t most);
  ~HostCopy();
  HostCopy(const HostCopy&) = delete;
  HostCopy& operator=(const HostCopy&) = delete;

  /// Copies x when everything asked of the device before is done. The copy before has been taken.
  void start(const Tensor& x);
  [[nodiscard]] bool done() const;
  /// The tensor on the host; done() was true.
  Tensor take();

 private:
  std::size_t most_;
  void* pinned_ = nullptr;
  void* mark_ = nullptr;
  Tensor x_;  // lives until it is copied
};

}  // namespace weft
