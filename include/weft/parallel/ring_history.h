#pragma once
// History of the causal autoencoder across ranks: chunk i is decoded on rank i % size, and what its
// layers leave behind travels to the rank of chunk i + 1. The result is that of one rank, exactly.

#include <cstdint>
#include <deque>
#include <vector>

#include "weft/comm/communicator.h"
#include "weft/model/causal_history.h"

namespace weft {

/// Every rank handles its chunks in ascending order, each from begin_chunk() on:
///
///   for (int chunk = rank; chunk < chunks; chunk += size) {
///     history.begin_chunk(chunk);
///     decoder.decode(..., history);
///   }
///
/// A rank waits in take() until the rank before has put that layer, so the ranks work as a
/// pipeline. It cannot lock up: sends never wait for a later chunk (begin_chunk() waits only until
/// the rank's chunk before the last has been taken), so the lowest chunk under way always goes on.
class RingHistory final : public CausalHistory {
 public:
  /// `skips_first[layer]`: the first chunk does not touch this layer (VaeDecoder::skips_first), so
  /// the second chunk finds zeros. Collective over `comm`, also for ranks without a chunk.
  RingHistory(const Communicator& comm, std::vector<bool> skips_first, int chunks);

  /// Chunks of this rank in ascending order. Waits for sends of the chunk before the last, which
  /// bounds the memory of messages under way to two chunks' histories.
  void begin_chunk(int chunk);
  void take(int layer, Tensor to) override;
  void put(int layer, const Tensor& last) override;
  /// Waits until everything sent has been taken. The destructor does so too, but only logs
  /// failures.
  void finish();

  /// Payload bytes this rank has sent to the next one.
  [[nodiscard]] std::int64_t bytes_sent() const { return comm_.bytes_sent(); }

 private:
  struct Message {
    int chunk;
    Tensor data;  // before `pending`: outlives the transfer
    Communicator::Pending pending;
  };
  void check_layer(int layer) const;
  void drop_sent();

  Communicator comm_;  // of its own: tags are layers
  std::vector<bool> skips_first_;
  int chunks_;
  int chunk_ = -1;
  std::vector<Tensor> local_;     // by layer; the only rank's histories
  std::deque<Message> messages_;  // sends under way, oldest first
};

}  // namespace weft
