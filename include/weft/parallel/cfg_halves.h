#pragma once
// Classifier-free guidance on two halves of a group: one computes the conditional branch, the other
// the unconditional one; corresponding ranks swap velocities, so all of them know the guided one.

#include <memory>

#include "weft/comm/fabric.h"
#include "weft/diffusion/branches.h"

namespace weft {

class CfgHalves final : public BranchShare {
 public:
  /// `pair`: the two ranks that swap; rank 0 computes the conditional branch. Collective over
  /// `pair`.
  CfgHalves(Fabric& fabric, const Communicator& pair);
  [[nodiscard]] bool computes(Branch branch) const override;
  Tensor exchange(Ops& ops, const Tensor& mine) override;
  [[nodiscard]] std::int64_t bytes_sent() const { return link_->bytes_sent(); }

 private:
  std::unique_ptr<TensorLink> link_;
};

}  // namespace weft
