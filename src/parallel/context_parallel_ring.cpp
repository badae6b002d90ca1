#include "context_parallel_ring.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

struct KeysAndValues {
  Tensor k, v;
};

}  // namespace

void RingAttention::run(Ops& ops, const Tensor& q, const Tensor& k, const Tensor& v, float scale,
                        std::span<const std::int64_t> sizes, const Tensor& out) {
  const int ranks = link_->size(), me = link_->rank();
  const int next = (me + 1) % ranks, previous = (me + ranks - 1) % ranks;
  const Tensor lse = Tensor::empty({q.dim(1), q.dim(0)}, DType::f32, q.device());
  KeysAndValues held{k, v};
  const auto block = [&](std::int64_t tokens) { return k.shape().with(0, tokens); };
  const std::int64_t largest = block(std::ranges::max(sizes)).numel();
  link_->make_room(previous, next,
                   {.landing = static_cast<std::size_t>(largest) * dtype_size(k.dtype())});
  for (int step = 0; step < ranks; ++step) {
    KeysAndValues coming;
    TensorLink::Pending arriving;
    if (step + 1 < ranks) {
      const int owner = (me + 2 * ranks - step - 1) % ranks;
      const Shape theirs = block(sizes[static_cast<std::size_t>(owner)]);
      coming = {link_->landing(previous, theirs, k.dtype(), k.device()),
                link_->landing(previous, theirs, v.dtype(), v.device())};
      // Asked for before the attention, so that they run beside each other.
      arriving = link_->start({{held.k, next}, {held.v, next}},
                              {{coming.k, previous}, {coming.v, previous}});
    }
    if (step == 0) {
      ops.attention(q, held.k, held.v, {.scale = scale, .lse = lse}, out);
    } else {
      ops.add_attention(q, held.k, held.v, scale, out, lse);
    }
    if (step + 1 < ranks) {
      arriving.finish();
      held = std::move(coming);
    }
  }
}

}  // namespace weft
