#pragma once
// Messages between the GPUs of several processes (NCCL; copy engines within a host), beside the
// process's compute stream.
// Implemented in kernels/cuda; absent in a build without CUDA.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "weft/device/tensor.h"

namespace weft {

/// One contiguous tensor on its way to or from a peer. Messages between two ranks match in the
/// order in which both list them; both sides know the size, and an empty tensor is no message at
/// all.
struct TensorMessage {
  Tensor data;
  int peer;
};

/// A communicator and a stream of its own. Every rank must ask for its transfers in an order that
/// fits its peers'; each transfer starts when those before it on this link are done.
class DeviceLink {
 public:
  virtual ~DeviceLink() = default;
  /// Starts these sends and receives together, after everything that was asked of the compute
  /// stream so far. Returns a number for finish(). The host waits only for a peer it has never
  /// exchanged with (the two connect, and both must come), and does not wait for data. The tensors
  /// must live until finish().
  [[nodiscard]] virtual std::int64_t start(std::span<const TensorMessage> sends,
                                           std::span<const TensorMessage> receives) = 0;
  /// What is asked of the compute stream from now on happens after transfer `number`; once for
  /// each. The host does not wait.
  virtual void finish(std::int64_t number) = 0;
  /// Error when the network or a peer has failed (ncclCommGetAsyncError).
  virtual void check() = 0;
};

/// "NCCL 2.28.3"; throws without CUDA.
std::string device_link_version();
/// By what messages go: "copy engines within a host, NCCL 2.28.3 between hosts". Throws without
/// CUDA.
std::string device_link_transport();

/// GPU memory that a link keeps for each other rank of its host.
inline constexpr std::size_t device_link_peer_bytes = std::size_t{64} << 20;

using DeviceLinkId = std::array<std::byte, 128>;
/// A new identity for a link, made on one rank and told to the others.
DeviceLinkId make_device_link_id();
/// Collective over `size` processes, each with a device of its own. Error when the others do not
/// come within `timeout` seconds (here, or to a first message), or the library fails. Its end waits
/// as long for transfers under way; while an exception unwinds they are aborted.
std::unique_ptr<DeviceLink> make_device_link(const DeviceLinkId& id, int rank, int size,
                                             double timeout);

}  // namespace weft
