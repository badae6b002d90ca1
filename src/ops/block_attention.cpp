#include "weft/ops/block_attention.h"

#include <utility>

#include "weft/ops/ops.h"

namespace weft {
namespace {

/// Blocks as keys and values themselves; what has been summed is known by its log-sum-exp.
class PlainBlocks final : public BlockAttention {
 public:
  PlainBlocks(Ops& ops, const Tensor& q, float scale, Tensor out)
      : ops_(ops),
        q_(q),
        scale_(scale),
        out_(std::move(out)),
        lse_(Tensor::empty({q.dim(1), q.dim(0)}, DType::f32, q.device())) {}

  [[nodiscard]] Form form(std::int64_t tokens) const override {
    return {2, q_.shape().with(0, tokens), q_.dtype()};
  }
  [[nodiscard]] std::vector<Tensor> pack(const Tensor& k, const Tensor& v) override {
    return {k, v};
  }
  void add(std::span<const Tensor> block, std::int64_t /*tokens*/) override {
    const Tensor &k = block[0], &v = block[1];
    if (std::exchange(first_, false)) {
      ops_.attention(q_, k, v, {.scale = scale_, .lse = lse_}, out_);
    } else {
      ops_.add_attention(q_, k, v, scale_, out_, lse_);
    }
  }

 private:
  Ops& ops_;
  Tensor q_;
  float scale_;
  Tensor out_, lse_;
  bool first_ = true;
};

}  // namespace

std::unique_ptr<BlockAttention> Ops::block_attention(const Tensor& q, float scale,
                                                     std::int64_t /*fewest*/, Tensor out) {
  return std::make_unique<PlainBlocks>(*this, q, scale, std::move(out));
}

}  // namespace weft
