#pragma once
// The two branches of classifier-free guidance: computed one after the other here, or one of them
// on another rank. The denoiser knows only this interface.

#include "weft/ops/ops.h"

namespace weft {

enum class Branch : std::uint8_t { cond, uncond };

class BranchShare {
 public:
  virtual ~BranchShare() = default;
  /// Is this branch computed on this rank?
  [[nodiscard]] virtual bool computes(Branch branch) const = 0;
  /// The other rank's velocity [C, T, H, W] for this rank's own; called only where one branch is
  /// computed here.
  virtual Tensor exchange(Ops& ops, const Tensor& mine) = 0;
};

/// Both branches here.
class BothBranches final : public BranchShare {
 public:
  [[nodiscard]] bool computes(Branch /*branch*/) const override { return true; }
  Tensor exchange(Ops& /*ops*/, const Tensor& mine) override { return mine; }
};

}  // namespace weft
