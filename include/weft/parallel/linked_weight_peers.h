#pragma once
// Ranks of a TensorLink that share the reading or keeping of weights.

#include "weft/comm/fabric.h"
#include "weft/model/weight_peers.h"

namespace weft {

class LinkedWeightPeers final : public WeightPeers {
 public:
  /// The link should be on a lane of its own where weights are gathered while a step computes, or
  /// the step's own messages wait for them.
  explicit LinkedWeightPeers(std::unique_ptr<TensorLink> link);
  [[nodiscard]] int rank() const override { return link_->rank(); }
  [[nodiscard]] int size() const override { return link_->size(); }
  [[nodiscard]] std::unique_ptr<Pending> start_gather(
      const Tensor& flat, std::span<const std::int64_t> begins) override;
  /// Payload bytes this rank has sent.
  [[nodiscard]] std::int64_t bytes_sent() const { return link_->bytes_sent(); }

 private:
  std::unique_ptr<TensorLink> link_;
};

}  // namespace weft
