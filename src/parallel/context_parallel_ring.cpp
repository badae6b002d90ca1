#include "context_parallel_ring.h"

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
  const Shape sums{q.dim(1), q.dim(0)};
  const Tensor lse = Tensor::empty(sums, DType::f32, q.device());
  const Tensor part_lse = Tensor::empty(sums, DType::f32, q.device());
  const Tensor part = Tensor::empty(q.shape(), q.dtype(), q.device());
  KeysAndValues held{k, v};
  for (int step = 0; step < ranks; ++step) {
    KeysAndValues coming;
    TensorLink::Pending arriving;
    if (step + 1 < ranks) {
      const int owner = (me + 2 * ranks - step - 1) % ranks;
      const Shape block = k.shape().with(0, sizes[static_cast<std::size_t>(owner)]);
      coming = {Tensor::empty(block, k.dtype(), k.device()),
                Tensor::empty(block, v.dtype(), v.device())};
      // Asked for before the attention, so that they run beside each other.
      arriving = link_->start({{held.k, next}, {held.v, next}},
                              {{coming.k, previous}, {coming.v, previous}});
    }
    if (step == 0) {
      ops.attention(q, held.k, held.v, {.scale = scale, .lse = lse}, out);
    } else {
      ops.attention(q, held.k, held.v, {.scale = scale, .lse = part_lse}, part);
      ops.merge_attention(out, lse, part, part_lse);
    }
    if (step + 1 < ranks) {
      arriving.finish();
      held = std::move(coming);
    }
  }
}

}  // namespace weft
