#pragma once
// Self-attention as the transformer sees it: queries, keys and values of the tokens at hand. How
// the whole sequence comes together is the implementation's business; the model knows no ranks.

#include "weft/ops/ops.h"

namespace weft {

/// Tokens [begin, end) of a sequence ordered frames, rows, columns.
struct TokenRange {
  std::int64_t begin = 0, end = 0;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
};

class SelfAttention {
 public:
  virtual ~SelfAttention() = default;
  /// q, k, v, out [n, H, d]: the n tokens this rank holds.
  virtual void run(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                   Tensor out) = 0;
};

/// All tokens are here.
class LocalAttention final : public SelfAttention {
 public:
  void run(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
           Tensor out) override {
    ops.attention(q, k, v, {.scale = scale}, out);
  }
};

}  // namespace weft
