// Receives checked weights layer by layer, hands complete layers to the transformer.
#include "weft/model/layer_store.h"

#include <algorithm>

namespace weft {
namespace {

// Weights and shares begin at multiples of so many bytes: vector loads, cuBLASLt and NCCL are at
// their best.
constexpr std::int64_t alignment = 256;

std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

}  // namespace

LayerStore::LayerStore(WeightSource& source, const std::vector<std::string>& prefixes,
                       std::vector<LayerWeight> weights)
    : weights_(std::move(weights)),
      type_(source.placement().type),
      device_(source.placement().device) {
  const Placement& placement = source.placement();
  if (placement.shard && placement.peers != nullptr && placement.peers->size() > 1) {
    peers_ = placement.peers;
  }
  lay_out();
  for (const std::string& prefix : prefixes) {
    if (source.mode() == WeightSource::Mode::check) {
      for (const LayerWeight& w : weights_) source.take_into(prefix + w.name, w.shape, {});
    } else if (sharded()) {
      take_share(source, prefix);
    } else {
      take_whole(source, prefix);
    }
  }
  peak_bytes_ = bytes();
}

LayerStore::~LayerStore() = default;

void LayerStore::lay_out() {
  const std::int64_t unit = alignment / static_cast<std::int64_t>(dtype_size(type_));
  for (const LayerWeight& w : weights_) {
    offsets_.push_back(slab_elements_);
    slab_elements_ += round_up(w.shape.numel(), unit);
  }
  const std::int64_t peers = sharded() ? peers_->size() : 1;
  for (std::int64_t r = 0; r <= peers; ++r) {
    begins_.push_back(slab_elements_ / unit * r / peers * unit);
  }
}

std::size_t LayerStore::slab_bytes() const {
  return static_cast<std::size_t>(slab_elements_) * dtype_size(type_);
}

std::vector<Tensor> LayerStore::views_of(const Tensor& slab) const {
  std::vector<Tensor> views;
  for (std::size_t w = 0; w < weights_.size(); ++w) {
    // A storage of its own each time: what a backend keeps with it belongs to these contents.
    std::byte* begin = slab.raw() + static_cast<std::size_t>(offsets_[w]) * dtype_size(type_);
    views.push_back(Tensor::view(begin, weights_[w].shape, type_, device_, slab.storage()));
    views.back().storage()->reducible = weights_[w].reducible;
  }
  return views;
}

void LayerStore::take_whole(WeightSource& source, const std::string& prefix) {
  kept_.push_back(Tensor::empty({slab_elements_}, type_, device_));
  whole_.push_back(views_of(kept_.back()));
  for (std::size_t w = 0; w < weights_.size(); ++w) {
    source.take_into(prefix + weights_[w].name, weights_[w].shape, whole_.back()[w]);
  }
}

void LayerStore::take_share(WeightSource& source, const std::string& prefix) {
  const auto rank = static_cast<std::size_t>(peers_->rank());
  const std::int64_t begin = begins_[rank];
  const std::int64_t end = begins_[rank + 1];
  // Zeros, because the gaps between weights travel with them.
  const Tensor share = Tensor::zeros({end - begin}, type_, device_);
  for (std::size_t w = 0; w < weights_.size(); ++w) {
    const std::int64_t count = weights_[w].shape.numel();
    const std::int64_t first = std::clamp<std::int64_t>(begin - offsets_[w], 0, count);
    const std::int64_t last = std::clamp<std::int64_t>(end - offsets_[w], first, count);
    const std::int64_t at = first == last ? 0 : offsets_[w] + first - begin;
    source.take_part(prefix + weights_[w].name, weights_[w].shape, {first, last},
                     share.slice(at, at + last - first));
  }
  kept_.push_back(share);
}

std::size_t LayerStore::bytes() const {
  std::size_t sum = 0;
  for (const Tensor& t : kept_) sum += t.bytes();
  for (const Slot& slot : slots_) sum += slot.slab.defined() ? slot.slab.bytes() : 0;
  return sum;
}

LayerStore::Slot* LayerStore::slot_of(std::size_t layer) {
  const auto found = std::ranges::find(slots_, layer, &Slot::layer);
  return found == slots_.end() ? nullptr : &*found;
}

void LayerStore::start(std::size_t layer, Slot& slot) {
  finish(slot);  // of a layer that was never fetched
  slot.views.clear();
  if (!slot.slab.defined()) {
    slot.slab = Tensor::empty({slab_elements_}, type_, device_);
    peak_bytes_ = std::max(peak_bytes_, bytes());
  }
  const auto rank = static_cast<std::size_t>(peers_->rank());
  copy(kept_[layer], slot.slab.slice(begins_[rank], begins_[rank + 1]));
  slot.gathering = peers_->start_gather(slot.slab, begins_);
  slot.layer = layer;
}

void LayerStore::finish(Slot& slot) {
  if (slot.gathering != nullptr) slot.gathering->finish();
  slot.gathering.reset();
}

const std::vector<Tensor>& LayerStore::fetch(std::size_t layer, std::size_t next) {
  WEFT_ASSERT(layer < layers() && next < layers(), "layers {} and {} of {}", layer, next, layers());
  if (!sharded()) return whole_[layer];
  if (slot_of(layer) == nullptr) start(layer, slots_[1 - recent_]);
  Slot& slot = *slot_of(layer);
  recent_ = static_cast<std::size_t>(&slot - slots_.data());
  // Everything that was computed with the other slot has been asked for: it is free.
  if (slot_of(next) == nullptr) start(next, slots_[1 - recent_]);
  finish(slot);
  if (slot.views.empty()) slot.views = views_of(slot.slab);
  return slot.views;
}

void LayerStore::release() {
  for (Slot& slot : slots_) {
    finish(slot);
    slot = {};
  }
}

}  // namespace weft
