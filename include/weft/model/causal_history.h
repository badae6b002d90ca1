#pragma once
// Where a causal convolution finds the input frames before the chunk at hand (spec 6.3). The
// autoencoder knows only this interface: on one rank history is a buffer per layer; across ranks it
// travels from the rank of one chunk to the rank of the next, which shards the clip exactly.

#include <cstdint>
#include <vector>

#include "weft/device/tensor.h"

namespace weft {

class CausalHistory {
 public:
  virtual ~CausalHistory() = default;
  /// Fills `to` [2, H, W, C] with the two input frames of layer `layer` before this chunk; zeros
  /// before the clip's start. Called once per layer and chunk, layers in ascending order.
  virtual void take(int layer, Tensor to) = 0;
  /// Remembers `last` [2, H, W, C], the last two input frames of this chunk (the earlier one zero
  /// when the clip has only one so far), for the next chunk.
  virtual void put(int layer, const Tensor& last) = 0;
};

/// History on one rank: copies in memory.
class LocalHistory final : public CausalHistory {
 public:
  void take(int layer, Tensor to) override;
  void put(int layer, const Tensor& last) override;
  void reset() { frames_.clear(); }

 private:
  std::vector<Tensor> frames_;  // by layer; undefined: nothing yet
};

}  // namespace weft
