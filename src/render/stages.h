#pragma once
// Shared by the stages of a render.

#include "weft/render/renderer.h"

namespace weft {

// Message tags of the render layer; layer histories use tags below 1000 (parallel/ring_history.h).
inline constexpr int tag_scatter = 20000, tag_overlap = 20001, tag_gather = 20002,
                     tag_frames = 20003;

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
