#include "context_parallel_ring.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace weft {

void RingAttention::run(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                        std::span<const std::int64_t> sizes, const Tensor& out) {
  const int ranks = link_->size(), me = link_->rank();
  const int next = (me + 1) % ranks, previous = (me + ranks - 1) % ranks;
  const auto attention = ops.block_attention(q, scale, std::ranges::min(sizes), out);
  const BlockAttention::Form largest = attention->form(std::ranges::max(sizes));
  link_->make_room(
      previous, next,
      {.landing = static_cast<std::size_t>(largest.shape.numel()) * dtype_size(largest.type)});
  std::vector<Tensor> held = attention->pack(k, v);
  for (int step = 0; step < ranks; ++step) {
    const int owner = (me + ranks - step) % ranks, next_owner = (me + 2 * ranks - step - 1) % ranks;
    std::vector<Tensor> coming;
    TensorLink::Pending arriving;
    if (step + 1 < ranks) {
      const auto form = attention->form(sizes[static_cast<std::size_t>(next_owner)]);
      std::vector<TensorMessage> sends, receives;
      for (int i = 0; i < form.count; ++i) {
        coming.push_back(link_->landing(previous, form.shape, form.type, k.device()));
        sends.push_back({held[static_cast<std::size_t>(i)], next});
        receives.push_back({coming.back(), previous});
      }
      // Asked for before the attention, so that they run beside each other.
      arriving = link_->start(std::move(sends), std::move(receives));
    }
    attention->add(held, sizes[static_cast<std::size_t>(owner)]);
    arriving.finish();
    held = std::move(coming);
  }
}

}  // namespace weft
