#pragma once
// How tensors travel between ranks: by NCCL when they are on GPUs, by MPI when they are on the CPU.
// The layers above write one code for both:
//
//   auto moved = link.start({{part, peer}}, {{space, peer}});
//   ...work that needs neither...
//   moved.finish();          // from here on, operations may read `space` and overwrite `part`
//
// Nothing here makes the host wait for a GPU: "finished" means in the order of its stream.

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "weft/comm/communicator.h"
#include "weft/device/device_link.h"

namespace weft {

/// Ranks of one group that exchange tensors of one device kind. Peers are ranks of the group.
class TensorLink {
 public:
  virtual ~TensorLink() = default;
  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }

  /// A transfer under way. Holds its tensors; finish() in any order among several. Destroyed or
  /// assigned to while unfinished it finishes itself and logs a failure (while an exception
  /// unwinds, each message gives up after some seconds).
  class Pending {
   public:
    class State {
     public:
      virtual ~State() = default;  // finishes what nobody did
      virtual void finish() = 0;   // called once
      [[nodiscard]] virtual bool done() = 0;
    };
    Pending() = default;
    explicit Pending(std::unique_ptr<State> state) : state_(std::move(state)) {}
    Pending(Pending&&) noexcept = default;
    Pending& operator=(Pending&&) noexcept = default;
    ~Pending() = default;
    /// Lets go of the tensors. A second call, and one without a transfer, does nothing.
    void finish();
    /// True when finish() would not wait; makes progress. On GPUs always true.
    [[nodiscard]] bool done();

   private:
    std::unique_ptr<State> state_;
  };

  /// Posts the receives, then the sends. No peer may be this rank itself; all tensors are on the
  /// fabric's device; empty ones are skipped. Messages from one rank to another match in the order
  /// in which both list them, also across several start(). On GPUs transfers of a lane are done in
  /// the order of their start(), whatever the link: ranks must start in an order that leads no
  /// circle of ranks to wait for one another.
  [[nodiscard]] virtual Pending start(std::vector<TensorMessage> sends,
                                      std::vector<TensorMessage> receives) = 0;
  /// See DeviceLink::make_room(); nothing where links need no room.
  virtual void make_room(int from, int to, const LinkRoom& room);
  /// Space for the next message from that rank, where it may stay: see DeviceLink::landing().
  [[nodiscard]] virtual Tensor landing(int from, const Shape& shape, DType dtype,
                                       DeviceKind device);
  /// Payload bytes this rank has sent through this link.
  [[nodiscard]] std::int64_t bytes_sent() const { return bytes_sent_; }

 protected:
  TensorLink(int rank, int size) : rank_(rank), size_(size) {}
  /// Asserts what start() asks of its messages and takes the empty ones out.
  void check_messages(std::vector<TensorMessage>& messages, DeviceKind device) const;
  void count_sent(std::span<const TensorMessage> sends);

 private:
  int rank_, size_;
  std::int64_t bytes_sent_ = 0;
  friend class Fabric;
  std::shared_ptr<std::int64_t> all_sent_;  // of the fabric; outlives neither side alone
};

/// Every rank holds rows [begins[r], begins[r + 1]) of `whole` for its own r (begins has size + 1
/// entries, the same everywhere); afterwards everyone holds all. Collective over the link.
[[nodiscard]] TensorLink::Pending start_all_gather(TensorLink& link, const Tensor& whole,
                                                   std::span<const std::int64_t> begins);

/// The network of one process. On GPUs there is one NCCL communicator for all links of a lane, so
/// that links cost little to make; lanes run beside each other, transfers of one lane in order.
/// GPUs of one host that can map each other's memory exchange by their copy engines instead.
///
/// NCCL refuses two ranks on one GPU. When ranks share one, tensors of all links go through host
/// memory and MPI, with a warning: slow, correct, and finish() waits.
class Fabric {
 public:
  enum class Lane : std::uint8_t { main, second };

  /// Collective over `world`. `timeout`: seconds to wait for other ranks when NCCL is brought up
  /// and when ranks meet for the first time.
  Fabric(const Communicator& world, DeviceKind device, double timeout = 120);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  /// Of the tensors that its links carry.
  [[nodiscard]] DeviceKind device() const;
  /// A link among the ranks of `group`, a part of world. Collective over `group`, and on GPUs over
  /// world when it is the first of several ranks and nobody called prepare(). On GPUs the ranks of
  /// the group greet each other here, so that no start() has to wait for connections.
  [[nodiscard]] std::unique_ptr<TensorLink> link(const Communicator& group, Lane lane = Lane::main);
  /// Begins to bring NCCL up on every rank of world, or does nothing on the CPU, on one rank, and
  /// when that is done; the first link() waits for it. Collective over world.
  void prepare();
  /// Error when the network of a GPU lane has failed. Cheap; called once a step.
  void check();
  /// Payload bytes this rank has sent through all links so far.
  [[nodiscard]] std::int64_t bytes_sent() const;

 private:
  struct Impl;
  std::unique_ptr<TensorLink> make_link(const Communicator& group, Lane lane);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
