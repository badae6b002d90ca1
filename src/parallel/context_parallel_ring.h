#pragma once
// Attention over keys that lie on several ranks: keys and values travel around the ring while each
// rank keeps its queries, and the partial results are merged by their log-sum-exp.

#include <cstdint>
#include <memory>
#include <span>

#include "weft/comm/fabric.h"
#include "weft/ops/ops.h"

namespace weft {

class RingAttention {
 public:
  explicit RingAttention(std::unique_ptr<TensorLink> link) : link_(std::move(link)) {}
  [[nodiscard]] const TensorLink& link() const { return *link_; }

  /// q, k, v, out [n, H, d]: this rank's block; `sizes`: tokens of every rank's block. Each rank
  /// sends its own block first, then hands on what it got: 2 (ring - 1) blocks in all.
  void run(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
           std::span<const std::int64_t> sizes, const Tensor& out);

 private:
  std::unique_ptr<TensorLink> link_;
};

}  // namespace weft
