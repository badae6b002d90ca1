#include "weft/parallel/cfg_halves.h"

namespace weft {

CfgHalves::CfgHalves(Fabric& fabric, const Communicator& pair) : link_(fabric.link(pair)) {
  WEFT_ASSERT(pair.size() == 2, "the branches of guidance on {} ranks", pair.size());
}

bool CfgHalves::computes(Branch branch) const {
  return (branch == Branch::cond) == (link_->rank() == 0);
}

Tensor CfgHalves::exchange(Ops& /*ops*/, const Tensor& mine) {
  const int peer = 1 - link_->rank();
  const Tensor other = Tensor::empty(mine.shape(), mine.dtype(), mine.device());
  link_->start({{mine, peer}}, {{other, peer}}).finish();
  return other;
}

}  // namespace weft
