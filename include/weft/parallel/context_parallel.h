#pragma once
// One forward shared by several ranks: each computes a contiguous part of the tokens, and the
// self-attention brings them together (Ulysses: Jacobs et al. 2023; ring: Liu et al. 2023).
//
// The ranks of a forward form a grid of ring x ulysses; rank p = r ulysses + u of them. Tokens are
// dealt in order to p, as evenly as may be; the tokens of ring position r are those of its
// `ulysses` ranks, contiguous. Within r the ranks trade tokens for heads: u gets all tokens of r
// for its share of the heads. Along the ring keys and values travel, and partial results are merged
// by their log-sum-exp. Agrees with one rank to rounding; on the CPU, without a ring, to the bit.
// With Precision::fp8 keys and values travel in e4m3 where the GPU has a kernel for it
// (Ops::block_attention()).

#include <memory>

#include "weft/comm/fabric.h"
#include "weft/model/attention.h"

namespace weft {

class ContextParallelAttention final : public SelfAttention {
 public:
  /// `group`: the ranks of the forward, ulysses x ring of them; `heads` >= ulysses. Collective over
  /// `group`. `chunks`: into how many parts a rank's heads are cut so that one part's exchange runs
  /// beside another's attention; no more are made than the heads of any rank.
  ContextParallelAttention(Fabric& fabric, const Communicator& group, int ulysses, int ring,
                           std::int64_t heads, int chunks = 2);
  ~ContextParallelAttention() override;

  /// Also says which sequence run() is about from now on: the shares of the other ranks cannot be
  /// told from this rank's own. `tokens` >= the ranks.
  [[nodiscard]] TokenRange range(std::int64_t tokens) const override;
  /// All ranks of the forward call it in the same order. The host does not wait for a GPU, and the
  /// inputs may be overwritten afterwards, in the order of the stream.
  void run(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
           Tensor out) override;
  Tensor gather(Ops& ops, const Tensor& features, std::int64_t tokens) override;

  /// Payload bytes this rank has sent.
  [[nodiscard]] std::int64_t bytes_sent() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
