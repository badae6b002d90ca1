#include "weft/device/host_copy.h"

#include <cstring>
#include <utility>

#include "weft/device/device_api.h"

namespace weft {

HostCopy::HostCopy(DeviceKind device, std::size_t most) : most_(most) {
  if (device == DeviceKind::cpu) return;
  pinned_ = cuda_device_api()->allocate_pinned(most);
  mark_ = cuda_device_api()->make_mark();
}

HostCopy::~HostCopy() {
  if (pinned_ == nullptr) return;
  cuda_device_api()->release_mark(mark_);
  cuda_device_api()->release_pinned(pinned_);
}

void HostCopy::start(const Tensor& x) {
  WEFT_ASSERT(!x_.defined() && x.bytes() <= most_, "a copy of {} bytes, of at most {}", x.bytes(),
              most_);
  x_ = x;
  if (x.device() == DeviceKind::cpu) return;
  WEFT_ASSERT(pinned_ != nullptr, "a tensor on {}", device_name(x.device()));
  cuda_device_api()->start_to_host(pinned_, x.raw(), x.bytes());
  cuda_device_api()->set_mark(mark_);
}

bool HostCopy::done() const {
  return x_.device() == DeviceKind::cpu || cuda_device_api()->reached(mark_);
}

Tensor HostCopy::take() {
  const Tensor x = std::exchange(x_, {});
  if (x.device() == DeviceKind::cpu) return x;
  const Tensor host = Tensor::empty(x.shape(), x.dtype());
  std::memcpy(host.raw(), pinned_, host.bytes());
  return host;
}

}  // namespace weft
