#pragma once
// Self-attention as the transformer sees it: queries, keys and values of the tokens at hand. Which
// tokens those are and how the whole sequence comes together is the implementation's business; the
// model knows no ranks.

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
  /// Which tokens of a sequence of `tokens` are at hand here.
  [[nodiscard]] virtual TokenRange range(std::int64_t tokens) const { return {0, tokens}; }
  /// Whether nothing of a token is passed on to another rank: q and k may then be
  /// Ops::attention_input()s and out the whole of a linear_input().
  [[nodiscard]] virtual bool local() const { return false; }
  /// q, k, v, out [n, H, d]: the n tokens this rank holds.
  virtual void run(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                   Tensor out) = 0;
  /// Features [n, F] of the tokens at hand to those of all tokens [tokens, F], on every rank.
  virtual Tensor gather(Ops& /*ops*/, const Tensor& features, std::int64_t /*tokens*/) {
    return features;
  }
};

/// All tokens are here.
class LocalAttention final : public SelfAttention {
 public:
  [[nodiscard]] bool local() const override { return true; }
  void run(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
           Tensor out) override {
    ops.attention(q, k, v, {.scale = scale}, out);
  }
};

}  // namespace weft
