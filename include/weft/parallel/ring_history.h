#pragma once
// History of the causal autoencoder across ranks: chunk i is decoded on rank i % size, and what its
// layers leave behind travels to the rank of chunk i + 1. The result is that of one rank, exactly.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "weft/comm/background_progress.h"
#include "weft/comm/fabric.h"
#include "weft/model/causal_history.h"

namespace weft {

/// Every rank handles its chunks in ascending order, each from begin_chunk() on:
///
///   for (int chunk = rank; chunk < chunks; chunk += size) {
///     history.begin_chunk(chunk);
///     decoder.decode(..., history);
///   }
///
/// A layer's history stays on its device. The work of a layer comes after take() of that layer, so
/// the ranks work as a pipeline: on the CPU take() waits; on GPUs nothing waits but the streams,
/// and the host may be far ahead. On the CPU histories travel while both ranks compute
/// (BackgroundProgress), each received one layer before it is taken.
///
/// Lanes. All histories of rank r to rank r + 1 travel in order on one lane: `main` when r is even,
/// `second` when it is odd. So what a rank sends and what it receives are on different lanes and do
/// not queue behind each other, except on rank 0 of an odd number of ranks.
///
/// It cannot lock up, even if every send occupies its lane until the receiver is there. Let S(c, l)
/// be the transfer of layer l's history from chunk c to chunk c + 1, C(c, l) the work of layer l in
/// chunk c. S(c, l) waits for C(c, l), for C(c + 1, l - 1), which the receiver was asked for
/// before, and for earlier transfers on its lane: of lower layers, or of lower chunks. C(c, l)
/// waits for S(c - 1, l), for the work before it, and for transfers of chunks below c - size. Order
/// S(c, l) as (c, l) and C(c, l) right after S(c - 1, l): everything waits for smaller ones only.
/// On rank 0 of an odd number of ranks, S(c - 1, l) also waits for S(c, l - 1), where c is one of
/// its chunks; put S(c, l) and C(c + 1, l) between S(c - 1, l) and S(c - 1, l + 1) for those c, and
/// it is so again: for three ranks or more, nothing there waits for a chunk above c + 1.
///
/// The host waits for no other rank either, where GPUs copy: histories are cut into so few pieces
/// that all of a chunk can be asked for before the next rank has come (device_link_pieces). It
/// would otherwise: that rank may be waiting for this one's frames.
///
/// On GPUs one RingHistory at a time may be in use on a rank: transfers of a second one would queue
/// on the same lanes.
class RingHistory final : public CausalHistory {
 public:
  struct Layer {
    Shape shape;       // [2, H, W, C] of its history
    bool skips_first;  // the first chunk does not touch it, so the second finds zeros
  };
  /// Collective as Fabric::link(), also for ranks without a chunk, which may leave `layers` empty.
  /// `type`: of the histories. `fabric` must outlive it.
  RingHistory(Fabric& fabric, const Communicator& group, std::vector<Layer> layers, DType type,
              int chunks);

  /// Chunks of this rank in ascending order. Ends the sends of the chunk before the last, which
  /// bounds the memory of histories under way to two chunks': on the CPU by waiting until they have
  /// been taken; on GPUs in the order of the stream. There this chunk's work and allocations come
  /// after those transfers, and after their tensors were freed: memory is given out and taken back
  /// in stream order, so the bound holds however far the host is ahead.
  void begin_chunk(int chunk);
  void take(int layer, Tensor to) override;
  void put(int layer, const Tensor& last) override;
  /// Ends all sends: on the CPU waits until everything has been taken. The destructor does so too,
  /// but only logs failures.
  void finish();

  /// Payload bytes this rank has sent to the next one.
  [[nodiscard]] std::int64_t bytes_sent() const { return to_next().bytes_sent(); }

 private:
  struct Message {
    int chunk;
    DeviceKind device;
    TensorLink::Pending pending;  // holds the tensor
  };
  struct Arriving {
    int layer;
    Tensor history;
    TensorLink::Pending pending;
  };
  [[nodiscard]] int last() const;  // the rank of the chunk before
  [[nodiscard]] int next() const;
  void make_room(DType type);
  [[nodiscard]] TensorLink& to_next() const;
  [[nodiscard]] TensorLink& from_last() const;
  void check_layer(int layer) const;
  [[nodiscard]] bool is_first_use(int layer) const;
  void expect_two(DType type);
  void drop_taken();

  std::array<std::unique_ptr<TensorLink>, 2> lanes_;
  int rank_, size_;
  std::vector<Layer> layers_;
  int chunks_;
  int chunk_ = -1;
  std::vector<Tensor> local_;      // by layer; the only rank's histories
  std::deque<Message> messages_;   // sends under way, oldest first
  std::deque<Arriving> arriving_;  // of this chunk, by layer
  int next_ = 0;                   // layer to be received next
  std::optional<BackgroundProgress> progress_;
};

}  // namespace weft
