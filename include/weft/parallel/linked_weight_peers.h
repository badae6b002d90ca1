#pragma once
// Ranks of a TensorLink that share the reading or keeping of weights.

#include "weft/comm/fabric.h"
#include "weft/model/weight_peers.h"

namespace weft {

class LinkedWeightPeers final : public WeightPeers {
 public:
  /// A link of `comm`'s ranks on the second lane, made when it is first used: where weights are
  /// gathered while a step computes, the step's own messages do not wait for them. Both outlive
  /// this.
  LinkedWeightPeers(Fabric& fabric, const Communicator& comm) : fabric_(fabric), comm_(comm) {}
  [[nodiscard]] int rank() const override { return comm_.rank(); }
  [[nodiscard]] int size() const override { return comm_.size(); }
  [[nodiscard]] std::unique_ptr<Pending> start_gather(
      const Tensor& flat, std::span<const std::int64_t> begins) override;

 private:
  Fabric& fabric_;
  const Communicator& comm_;
  std::unique_ptr<TensorLink> link_;
};

}  // namespace weft
