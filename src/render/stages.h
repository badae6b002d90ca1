#pragma once
// Shared by the stages of a render.

#include "weft/render/renderer.h"

namespace weft {

inline constexpr int tag_frames = 1;  // the only messages on the group's own communicator

/// The same values on `device`; the CPU tensor itself when that is where it is.
inline Tensor on_device(const Tensor& host, DeviceKind device) {
  if (device == host.device()) return host;
  Tensor moved = Tensor::empty(host.shape(), host.dtype(), device);
  copy(host, moved);
  return moved;
}

inline Tensor on_host(const Tensor& tensor) {
  if (tensor.device() == DeviceKind::cpu) return tensor;
  Tensor host = Tensor::empty(tensor.shape(), tensor.dtype());
  copy(tensor, host);
  return host;
}

}  // namespace weft
