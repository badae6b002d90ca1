#pragma once
// Messages between the GPUs of one host by their copy engines, over NVLink or PCIe.
//
// NCCL moves data with kernels of its own. They take multiprocessors from an attention under way,
// and wait until it lets go of some. Copy engines do neither.
//
// Each of two ranks owns a mailbox (mailbox.h) on its GPU that the other has mapped. A message is
// cut into pieces of a slot. For piece n the sender's stream waits until piece n - slots has left
// the slot, copies, and writes n to the receiver's `arrived`; the receiver's stream waits for that,
// copies the piece to its place, and writes n to the sender's `freed`. Where there is room a
// message can be read in the mailbox instead: that second copy, within a GPU, is a kernel and waits
// for multiprocessors, which an attention holds for milliseconds.
//
// One stream sends and one receives for all peers, in order of the distance (to - from) mod size on
// both sides, so that of the messages under way there is always one that both sides have come to:
// no circle of ranks waits, although messages may be longer than the slots. Two streams each way
// were not faster (229 against 235 GB/s on H200s): one copy engine moves 365 of the 450 GB/s of the
// links by itself.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "nccl_handles.h"

namespace weft {

class PeerCopies {
 public:
  /// `timeout`: seconds to wait for transfers under way at the end.
  PeerCopies(PeerSwap swap, int rank, int size, double timeout);
  /// Collective over the ranks that were met; while an exception unwinds, transfers are let go.
  ~PeerCopies();
  PeerCopies(const PeerCopies&) = delete;
  PeerCopies& operator=(const PeerCopies&) = delete;

  /// False when the environment variable WEFT_PEER_COPIES is 0: NCCL carries everything.
  [[nodiscard]] static bool wanted();

  /// Meets the peers of these messages that are new; the host waits for them to come, too.
  void meet(std::span<const TensorMessage> sends, std::span<const TensorMessage> receives);
  /// See DeviceLink.
  void make_room(int from, int to, const LinkRoom& room);
  [[nodiscard]] Tensor landing(int from, const Shape& shape, DType dtype);
  /// Whether a message to a peer that was met goes this way, or one from it: the GPUs are of one
  /// host and can map each other's memory, it is wanted() on both sides, and the message is not too
  /// long. Both sides answer alike.
  [[nodiscard]] bool sends(const TensorMessage& message) const;
  [[nodiscard]] bool receives(const TensorMessage& message) const;

  /// Asks for transfers of messages that go this way, after `ready`. Returns the streams that have
  /// something to do.
  std::vector<cudaStream_t> exchange(std::span<const TensorMessage> sends,
                                     std::span<const TensorMessage> receives,
                                     const NcclEvent& ready);

 private:
  struct Peer;

  /// By peer: what this rank's mailbox for it must have room for.
  void introduce(const std::map<int, LinkRoom>& rooms);
  void part_from(std::span<const int> peers);
  std::vector<TensorMessage> by_distance(std::span<const TensorMessage> messages, int sign) const;
  void send(Peer& peer, const Tensor& data);
  void receive(Peer& peer, const Tensor& data);
  void free_slots(Peer& peer);
  [[nodiscard]] bool idle() const;
  void let_go() noexcept;

  PeerSwap swap_;
  int rank_, size_;
  double timeout_;
  std::map<int, std::unique_ptr<Peer>> met_;  // nullptr: not reached
  NcclStream sending_, receiving_;
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace weft
