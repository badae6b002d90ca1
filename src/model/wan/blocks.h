#pragma once
// The weights of the transformer's blocks (spec 4.3). Biases, norms and tables are everywhere; the
// matrices live in layer stores, because they may be shared out among ranks.

#include <vector>

#include "weft/model/layer_store.h"
#include "weft/model/transformer.h"

#include "linear.h"
#include "modulation.h"

namespace weft {

struct SelfWeights {
  std::vector<Tensor> weights, biases;  // of q, k, v: [D, D], [D]
  Linear out;
  Tensor norm_q, norm_k;  // [D]
};

struct CrossWeights {
  Linear q, k, v, out;
  Tensor norm_q, norm_k;  // [D]
};

struct Block {
  SelfWeights self;
  CrossWeights cross;
  TokenRows norm2_weight, norm2_bias;  // [1, D], before cross-attention
  Linear ff_in, ff_out;
  Modulation modulation;  // n = 6
};

class Blocks {
 public:
  Blocks(const TransformerConfig& config, WeightSource& weights);
  [[nodiscard]] std::size_t size() const { return small_.size(); }
  [[nodiscard]] const Modulation& modulation(std::size_t i) const { return small_[i].modulation; }
  /// Block i with what is multiplied with video tokens (not cross.k and cross.v), valid until the
  /// call after next. Blocks are asked for in order, again and again: the next one, after the last
  /// the first, is already on its way.
  [[nodiscard]] Block for_video(std::size_t i);
  /// Block i with what is multiplied with the prompt: cross.k and cross.v. In order, from 0 to the
  /// last.
  [[nodiscard]] Block for_text(std::size_t i);
  /// Bytes of matrices that this rank holds, and the most it has held.
  [[nodiscard]] std::size_t matrix_bytes() const { return video_.bytes() + text_.bytes(); }
  [[nodiscard]] std::size_t peak_matrix_bytes() const {
    return video_.peak_bytes() + text_.peak_bytes();
  }

 private:
  std::vector<Block> small_;  // without their matrices
  // Two stores, because the prompt's keys and values are made once, and video tokens need the rest
  // at every step: what is not needed is not gathered.
  LayerStore video_, text_;
};

}  // namespace weft
