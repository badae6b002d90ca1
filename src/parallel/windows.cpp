#include "weft/parallel/windows.h"

#include <algorithm>

#include "weft/base/error.h"

namespace weft {
namespace {

enum Tag : int { scatter_tag, velocity_tag, gather_tag };

/// Transfers that concern `rank`, in the plan's order. A step of thousands of ranks has a hundred
/// thousand transfers, and each rank a few dozen of them.
TransferPlan of_rank(const TransferPlan& plan, int rank) {
  TransferPlan own;
  std::copy_if(plan.begin(), plan.end(), std::back_inserter(own),
               [&](const Transfer& t) { return t.from_rank == rank || t.to_rank == rank; });
  return own;
}

}  // namespace

WindowExchange::WindowExchange(const Communicator& comm, WindowPlan plan, std::vector<int> owner,
                               std::int64_t channels)
    : comm_(comm.split(0)),
      plan_(std::move(plan)),
      owner_(std::move(owner)),
      channels_(channels),
      overlaps_(of_rank(overlap_plan(plan_, owner_), comm_.rank())) {
  for (std::size_t w = 0; w < owner_.size(); ++w) {
    WEFT_ASSERT(owner_[w] >= 0 && owner_[w] < comm_.size(), "window {} on rank {} of {}", w,
                owner_[w], comm_.size());
    if (owner_[w] != comm_.rank()) continue;
    mine_.push_back(static_cast<int>(w));
    neighbours_.push_back(overlapping_windows(plan_, mine_.back()));
  }
}

const Box& WindowExchange::box_of(int window) const {
  return plan_.windows.at(static_cast<std::size_t>(window)).box;
}

Shape WindowExchange::shape_of(const Box& box) const {
  return {channels_, box.frames().size(), box.rows().size(), box.cols().size()};
}

BoxTensor WindowExchange::held(std::span<const Tensor> tensors, int window) const {
  WEFT_ASSERT(tensors.size() == mine_.size(), "{} tensors for {} windows", tensors.size(),
              mine_.size());
  const auto at = std::lower_bound(mine_.begin(), mine_.end(), window);
  WEFT_ASSERT(at != mine_.end() && *at == window, "window {} is not on rank {}", window,
              comm_.rank());
  return {box_of(window), tensors[static_cast<std::size_t>(at - mine_.begin())]};
}

std::vector<Tensor> WindowExchange::scatter(const Tensor& volume) const {
  std::vector<Tensor> windows(mine_.size());
  auto moved = start_exchange(
      comm_, scatter_plan(plan_, owner_), channels_,
      [&](int) {
        return BoxTensor{plan_.volume, volume};
      },
      scatter_tag);
  // The plan has one transfer per window, ascending, as mine_ is.
  auto next = windows.begin();
  moved.finish([&](const Transfer&, const Tensor& packed) { *next++ = packed; });
  return windows;
}

WindowExchange::Pending WindowExchange::start(std::vector<Tensor> velocities) const {
  WEFT_ASSERT(velocities.size() == mine_.size(), "{} velocities for {} windows", velocities.size(),
              mine_.size());
  for (std::size_t i = 0; i < mine_.size(); ++i) {
    WEFT_ASSERT(velocities[i].shape() == shape_of(box_of(mine_[i])),
                "window {}: velocity {}, want {}", mine_[i], velocities[i].shape().str(),
                shape_of(box_of(mine_[i])).str());
  }
  Pending pending;
  pending.exchange_ = this;
  pending.moved_ = start_exchange(
      comm_, overlaps_, channels_, [&](int window) { return held(velocities, window); },
      velocity_tag);
  pending.velocities_ = std::move(velocities);
  return pending;
}

std::vector<Tensor> WindowExchange::Pending::finish(Ops& cpu_ops) {
  WEFT_ASSERT(exchange_ != nullptr, "finished twice or never started");
  // By window of this rank, then by the window a part comes from: the plan's order.
  std::vector<std::vector<Tensor>> arrived(exchange_->mine_.size());
  moved_.finish([&](const Transfer& t, const Tensor& packed) {
    const auto at = std::lower_bound(exchange_->mine_.begin(), exchange_->mine_.end(), t.to_item);
    arrived[static_cast<std::size_t>(at - exchange_->mine_.begin())].push_back(packed);
  });
  std::vector<Tensor> blended;
  for (std::size_t i = 0; i < arrived.size(); ++i) {
    blended.push_back(exchange_->blend(exchange_->mine_[i], velocities_, arrived[i], cpu_ops));
  }
  velocities_.clear();
  exchange_ = nullptr;
  return blended;
}

Tensor WindowExchange::blend(int window, std::span<const Tensor> velocities,
                             std::span<const Tensor> arrived, Ops& cpu_ops) const {
  const Box& box = box_of(window);
  const auto at = std::lower_bound(mine_.begin(), mine_.end(), window) - mine_.begin();
  const auto& neighbours = neighbours_[static_cast<std::size_t>(at)];
  if (neighbours.size() == 1) return held(velocities, window).data;

  Tensor sum = Tensor::zeros(shape_of(box));
  auto next = arrived.begin();
  for (const int from : neighbours) {
    const auto common = intersect(box_of(from), box);
    WEFT_ASSERT(common.has_value(), "windows {} and {} share no cell", from, window);
    const bool here = owner_[static_cast<std::size_t>(from)] == comm_.rank();
    WEFT_ASSERT(here || next != arrived.end(), "nothing arrived from window {}", from);
    const Tensor part = here ? pack_box(held(velocities, from), *common) : *next++;
    std::array<std::int64_t, 3> origin{};
    std::array<std::span<const float>, 3> weights;
    for (std::size_t a = 0; a < 3; ++a) {
      const Range& shared = common->axis[a];
      origin[a] = shared.begin - box.axis[a].begin;
      weights[a] = plan_.weights(from, static_cast<int>(a))
                       .subspan(static_cast<std::size_t>(shared.begin - box_of(from).axis[a].begin),
                                static_cast<std::size_t>(shared.size()));
    }
    cpu_ops.add_weighted(sum, part, origin, weights[0], weights[1], weights[2]);
  }
  return sum;
}

std::vector<LatentPiece> WindowExchange::gather(std::span<const Tensor> latents,
                                                std::span<const Box> pieces,
                                                std::span<const int> piece_owner) const {
  const TransferPlan plan = of_rank(gather_plan(plan_, owner_, pieces, piece_owner), comm_.rank());
  auto moved = start_exchange(
      comm_, plan, channels_, [&](int window) { return held(latents, window); }, gather_tag);
  std::vector<LatentPiece> gathered;
  moved.finish([&](const Transfer& t, const Tensor& packed) {
    const Box& box = pieces[static_cast<std::size_t>(t.to_item)];
    if (gathered.empty() || gathered.back().index != t.to_item) {
      gathered.push_back({t.to_item, Tensor::empty(shape_of(box))});
    }
    unpack_box(packed, t.box, {box, gathered.back().latents});
  });
  return gathered;
}

}  // namespace weft
