#include "weft/parallel/windows.h"

#include <algorithm>
#include <functional>

#include "weft/base/error.h"

namespace weft {
namespace {

/// Transfers that concern `rank`, in the plan's order. A step of thousands of ranks has a hundred
/// thousand transfers, and each rank a few dozen of them.
TransferPlan of_rank(const TransferPlan& plan, int rank) {
  TransferPlan own;
  std::copy_if(plan.begin(), plan.end(), std::back_inserter(own),
               [&](const Transfer& t) { return t.from_rank == rank || t.to_rank == rank; });
  return own;
}

/// Cells `box` of `from`: the tensor itself when that is all of it.
Tensor part_of(const BoxTensor& from, const Box& box) {
  return box == from.box ? from.data : pack_box(from, box);
}

/// What arrives, put together: one tensor per item of this rank, in the order of the plan, which
/// lists an item's transfers one after the other and covers each of its cells once.
std::vector<LatentPiece> assemble(PendingExchange moved, std::int64_t channels, DeviceKind device,
                                  const std::function<const Box&(int item)>& box_of) {
  std::vector<LatentPiece> items;
  moved.finish([&](const Transfer& t, const Tensor& packed) {
    const Box& box = box_of(t.to_item);
    if (items.empty() || items.back().index != t.to_item) {
      if (t.box == box) {  // it is all one part
        items.push_back({t.to_item, packed});
        return;
      }
      items.push_back({t.to_item, Tensor::empty(box_shape(channels, box), DType::f32, device)});
    }
    unpack_box(packed, t.box, {box, items.back().latents});
  });
  return items;
}

}  // namespace

WindowExchange::WindowExchange(TensorLink& link, WindowPlan plan, std::vector<int> owner,
                               std::int64_t channels, DeviceKind device)
    : link_(&link),
      plan_(std::move(plan)),
      owner_(std::move(owner)),
      channels_(channels),
      device_(device),
      overlaps_(of_rank(overlap_plan(plan_, owner_), link.rank())) {
  for (std::size_t w = 0; w < owner_.size(); ++w) {
    WEFT_ASSERT(owner_[w] >= 0 && owner_[w] < link.size(), "window {} on rank {} of {}", w,
                owner_[w], link.size());
    if (owner_[w] != link.rank()) continue;
    mine_.push_back(static_cast<int>(w));
    neighbours_.push_back(overlapping_windows(plan_, mine_.back()));
  }
}

const Box& WindowExchange::box_of(int window) const {
  return plan_.windows.at(static_cast<std::size_t>(window)).box;
}

BoxTensor WindowExchange::held(std::span<const Tensor> tensors, int window) const {
  WEFT_ASSERT(tensors.size() == mine_.size(), "{} tensors for {} windows", tensors.size(),
              mine_.size());
  const auto at = std::lower_bound(mine_.begin(), mine_.end(), window);
  WEFT_ASSERT(at != mine_.end() && *at == window, "window {} is not on rank {}", window,
              link_->rank());
  return {box_of(window), tensors[static_cast<std::size_t>(at - mine_.begin())]};
}

std::vector<Tensor> WindowExchange::scatter(const Tensor& volume) const {
  WEFT_ASSERT(link_->rank() != 0 || volume.defined(), "no volume on rank 0");
  std::vector<Tensor> windows(mine_.size());
  const Tensor here = link_->rank() == 0 ? volume.to(device_) : Tensor();
  auto moved = start_exchange(
      *link_, of_rank(scatter_plan(plan_, owner_), link_->rank()), channels_,
      [&](int) {
        return BoxTensor{plan_.volume, here};
      },
      device_);
  // The plan has one transfer per window, ascending, as mine_ is.
  auto next = windows.begin();
  moved.finish([&](const Transfer&, const Tensor& packed) { *next++ = packed; });
  return windows;
}

WindowExchange::Pending WindowExchange::start(std::vector<Tensor> velocities) const {
  WEFT_ASSERT(velocities.size() == mine_.size(), "{} velocities for {} windows", velocities.size(),
              mine_.size());
  for (std::size_t i = 0; i < mine_.size(); ++i) {
    const Shape wanted = box_shape(channels_, box_of(mine_[i]));
    WEFT_ASSERT(velocities[i].shape() == wanted && velocities[i].device() == device_,
                "window {}: velocity {} on {}, want {} on {}", mine_[i],
                velocities[i].shape().str(), device_name(velocities[i].device()), wanted.str(),
                device_name(device_));
  }
  Pending pending;
  pending.exchange_ = this;
  pending.moved_ = start_exchange(
      *link_, overlaps_, channels_, [&](int window) { return held(velocities, window); }, device_);
  pending.velocities_ = std::move(velocities);
  return pending;
}

std::vector<Tensor> WindowExchange::Pending::finish(Ops& ops) {
  WEFT_ASSERT(exchange_ != nullptr, "finished twice or never started");
  WEFT_ASSERT(ops.device() == exchange_->device_, "windows on {} blended on {}",
              device_name(exchange_->device_), device_name(ops.device()));
  // By window of this rank, then by the window a part comes from: the plan's order.
  std::vector<std::vector<Tensor>> arrived(exchange_->mine_.size());
  moved_.finish([&](const Transfer& t, const Tensor& packed) {
    const auto at = std::lower_bound(exchange_->mine_.begin(), exchange_->mine_.end(), t.to_item);
    arrived[static_cast<std::size_t>(at - exchange_->mine_.begin())].push_back(packed);
  });
  std::vector<Tensor> blended;
  for (std::size_t i = 0; i < arrived.size(); ++i) {
    blended.push_back(exchange_->blend(exchange_->mine_[i], velocities_, arrived[i], ops));
  }
  velocities_.clear();
  exchange_ = nullptr;
  return blended;
}

Tensor WindowExchange::blend(int window, std::span<const Tensor> velocities,
                             std::span<const Tensor> arrived, Ops& ops) const {
  const Box& box = box_of(window);
  const auto at = std::lower_bound(mine_.begin(), mine_.end(), window) - mine_.begin();
  const auto& neighbours = neighbours_[static_cast<std::size_t>(at)];
  if (neighbours.size() == 1) return held(velocities, window).data;

  Tensor sum = Tensor::zeros(box_shape(channels_, box), DType::f32, device_);
  auto next = arrived.begin();
  for (const int from : neighbours) {
    const auto common = intersect(box_of(from), box);
    WEFT_ASSERT(common.has_value(), "windows {} and {} share no cell", from, window);
    const bool here = owner_[static_cast<std::size_t>(from)] == link_->rank();
    WEFT_ASSERT(here || next != arrived.end(), "nothing arrived from window {}", from);
    const Tensor part = here ? part_of(held(velocities, from), *common) : *next++;
    std::array<std::int64_t, 3> origin{};
    std::array<std::span<const float>, 3> weights;
    for (std::size_t a = 0; a < 3; ++a) {
      const Range& shared = common->axis[a];
      origin[a] = shared.begin - box.axis[a].begin;
      weights[a] = plan_.weights(from, static_cast<int>(a))
                       .subspan(static_cast<std::size_t>(shared.begin - box_of(from).axis[a].begin),
                                static_cast<std::size_t>(shared.size()));
    }
    ops.add_weighted(sum, part, origin, weights[0], weights[1], weights[2]);
  }
  return sum;
}

std::vector<Tensor> rewindow(const WindowExchange& from, const WindowExchange& to,
                             std::span<const Tensor> tensors) {
  WEFT_ASSERT(from.link_ == to.link_ && from.channels_ == to.channels_ &&
                  from.device_ == to.device_ && tensors.size() == from.mine_.size(),
              "{} tensors of {} windows move to windows of another kind", tensors.size(),
              from.mine_.size());
  const int rank = from.link_->rank();
  auto moved = start_exchange(
      *from.link_, of_rank(rewindow_plan(from.plan_, from.owner_, to.plan_, to.owner_), rank),
      from.channels_, [&](int window) { return from.held(tensors, window); }, from.device_);
  std::vector<Tensor> carried;
  for (LatentPiece& window : assemble(std::move(moved), to.channels_, to.device_,
                                      [&](int item) -> const Box& { return to.box_of(item); })) {
    carried.push_back(std::move(window.latents));
  }
  return carried;
}

std::vector<LatentPiece> gather_pieces(TensorLink& all, const WindowPlan& plan,
                                       std::span<const int> owner, std::int64_t channels,
                                       DeviceKind device, const std::map<int, Tensor>& latents,
                                       std::span<const Box> pieces,
                                       std::span<const int> piece_owner) {
  const auto source = [&](int window) {
    const auto found = latents.find(window);
    WEFT_ASSERT(found != latents.end(), "window {} is not on rank {}", window, all.rank());
    return BoxTensor{plan.windows.at(static_cast<std::size_t>(window)).box, found->second};
  };
  auto moved =
      start_exchange(all, of_rank(gather_plan(plan, owner, pieces, piece_owner), all.rank()),
                     channels, source, device);
  return assemble(std::move(moved), channels, device,
                  [&](int item) -> const Box& { return pieces[static_cast<std::size_t>(item)]; });
}

}  // namespace weft
