#include "weft/parallel/linked_weight_peers.h"

namespace weft {
namespace {

class LinkPending final : public WeightPeers::Pending {
 public:
  explicit LinkPending(TensorLink::Pending transfer) : transfer_(std::move(transfer)) {}
  void finish() override { transfer_.finish(); }

 private:
  TensorLink::Pending transfer_;
};

}  // namespace

std::unique_ptr<WeightPeers::Pending> LinkedWeightPeers::start_gather(
    const Tensor& flat, std::span<const std::int64_t> begins) {
  if (link_ == nullptr) link_ = fabric_.link(comm_, Fabric::Lane::second);
  return std::make_unique<LinkPending>(start_all_gather(*link_, flat, begins));
}

}  // namespace weft
