#pragma once
// Messages between the GPUs of several processes (NCCL; copy engines within a host), beside the
// process's compute stream.
// Implemented in kernels/cuda; absent in a build without CUDA.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "weft/device/tensor.h"

namespace weft {

/// One contiguous tensor on its way to or from a peer. Messages between two ranks match in the
/// order in which both list them; both sides know the size, and an empty tensor is no message at
/// all.
struct TensorMessage {
  Tensor data;
  int peer;
};

/// What make_room() is asked for, in bytes.
struct LinkRoom {
  std::size_t landing = 0;  // longest message from landing(), of which two pairs are held at a time
  std::size_t piece = 0;    // that messages are cut into, at least
};

/// Pieces that the host can ask of a link without the receiver's having asked for any: beyond, it
/// may wait (a stream's queue holds some 1024 entries, and a piece is three).
inline constexpr std::size_t device_link_pieces = 256;

/// A communicator and a stream of its own. Every rank must ask for its transfers in an order that
/// fits its peers'; each transfer starts when those before it on this link are done.
class DeviceLink {
 public:
  virtual ~DeviceLink() = default;
  /// Waits until the others have come: before the first start(), so that what goes on meanwhile on
  /// the host and the GPU does not meet transfers.
  virtual void bring_up() = 0;
  /// Starts these sends and receives together, after everything that was asked of the compute
  /// stream so far. Returns a number for finish(). The host waits only for a peer it has never
  /// exchanged with (the two connect, and both must come), and does not wait for data. The tensors
  /// must live until finish().
  [[nodiscard]] virtual std::int64_t start(std::span<const TensorMessage> sends,
                                           std::span<const TensorMessage> receives) = 0;
  /// What is asked of the compute stream from now on happens after transfer `number`; once for
  /// each. The host does not wait.
  virtual void finish(std::int64_t number) = 0;
  /// Sees to it that there is `room` for messages from rank `from` and to rank `to` (-1: nobody).
  /// Those call it as well, with this rank as their `to` and `from`; nothing may be under way among
  /// them. Cheap where there is room.
  virtual void make_room(int from, int to, const LinkRoom& room) = 0;
  /// Space for the next message from that rank: where it arrives if its way and the room allow that
  /// it is read there (copies within the GPU wait for multiprocessors, which an attention holds for
  /// milliseconds), fresh memory else. Given to start() in the order in which it was asked for,
  /// before any other space for messages from there. Let go of when the operations that read it
  /// have been asked for.
  [[nodiscard]] virtual Tensor landing(int from, const Shape& shape, DType dtype) = 0;
  /// Error when the network or a peer has failed (ncclCommGetAsyncError).
  virtual void check() = 0;
};

/// "NCCL 2.28.3"; throws without CUDA.
std::string device_link_version();
/// By what messages go: "copy engines within a host, NCCL 2.28.3 between hosts". Throws without
/// CUDA.
std::string device_link_transport();

/// What messages are cut into, and GPU memory that a link keeps for each other rank of its host,
/// where nobody asks for more.
inline constexpr std::size_t device_link_piece_bytes = std::size_t{16} << 20;
inline constexpr std::size_t device_link_peer_bytes = 4 * device_link_piece_bytes;
using DeviceLinkId = std::array<std::byte, 128>;
/// A new identity for a link, made on one rank and told to the others.
DeviceLinkId make_device_link_id();
using HostBytes = std::vector<std::byte>;
/// Exchanges a few bytes of host memory with each of some ranks: own[i] goes to peers[i]; returns
/// what they sent, of the same size. Collective over each pair, in an order that fits.
using PeerSwap = std::function<std::vector<HostBytes>(std::span<const int> peers,
                                                      std::span<const HostBytes> own)>;
/// Collective over `size` processes, each with a device of its own. Returns at once, and comes up
/// beside what the host does: bring_up(). Error when the others do not come within `timeout`
/// seconds (there, or to a first message), or the library fails. Its end waits as long for
/// transfers under way; while an exception unwinds they are aborted. `swap` introduces ranks to
/// each other, also at the end.
std::unique_ptr<DeviceLink> make_device_link(const DeviceLinkId& id, int rank, int size,
                                             double timeout, PeerSwap swap);

}  // namespace weft
