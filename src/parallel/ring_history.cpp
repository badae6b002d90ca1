#include "weft/parallel/ring_history.h"

#include "weft/base/error.h"

namespace weft {

RingHistory::RingHistory(Fabric& fabric, const Communicator& group, std::vector<bool> skips_first,
                         int chunks)
    : lanes_{fabric.link(group, Fabric::Lane::main), fabric.link(group, Fabric::Lane::second)},
      rank_(group.rank()),
      size_(group.size()),
      skips_first_(std::move(skips_first)),
      chunks_(chunks),
      local_(size_ == 1 ? skips_first_.size() : 0) {}

TensorLink& RingHistory::to_next() const { return *lanes_[static_cast<std::size_t>(rank_ % 2)]; }

TensorLink& RingHistory::from_last() const {
  const int last = (rank_ + size_ - 1) % size_;
  return *lanes_[static_cast<std::size_t>(last % 2)];
}

void RingHistory::check_layer(int layer) const {
  WEFT_ASSERT(chunk_ >= 0, "history of layer {} before any chunk has begun", layer);
  WEFT_ASSERT(layer >= 0 && layer < std::ssize(skips_first_), "layer {} of {}", layer,
              skips_first_.size());
  WEFT_ASSERT(chunk_ > 0 || !skips_first_[static_cast<std::size_t>(layer)],
              "layer {} takes no part in the first chunk", layer);
}

void RingHistory::begin_chunk(int chunk) {
  const int expected = chunk_ < 0 ? rank_ : chunk_ + size_;
  WEFT_ASSERT(chunk == expected && chunk < chunks_, "chunk {} of {} on rank {} of {}, want {}",
              chunk, chunks_, rank_, size_, expected);
  // Histories of the chunk just done may still be on their way: the next rank takes them while it
  // decodes, and waiting for it here would make the ranks take turns.
  while (!messages_.empty() && messages_.front().chunk < chunk_) {
    messages_.front().pending.finish();
    messages_.pop_front();
  }
  chunk_ = chunk;
}

void RingHistory::take(int layer, Tensor to) {
  check_layer(layer);
  drop_taken();
  const auto at = static_cast<std::size_t>(layer);
  const bool first_use = chunk_ == 0 || (chunk_ == 1 && skips_first_[at]);
  if (first_use) {
    fill_zero(to);
    return;
  }
  if (size_ == 1) {
    WEFT_ASSERT(local_[at].defined(), "chunk {} left no history of layer {}", chunk_ - 1, layer);
    copy(local_[at], to);
    return;
  }
  const ScopedContext context(
      fmt::format("taking the history of layer {} for chunk {}", layer, chunk_));
  const int last = (rank_ + size_ - 1) % size_;
  from_last().start({}, {{to, last}}).finish();
}

void RingHistory::put(int layer, const Tensor& last) {
  check_layer(layer);
  drop_taken();
  if (chunk_ + 1 == chunks_) return;  // nobody comes after
  // A copy: the layer's buffer is used again while this one travels.
  const Tensor kept = last.clone();
  if (size_ == 1) {
    local_[static_cast<std::size_t>(layer)] = kept;
    return;
  }
  const int next = (rank_ + 1) % size_;
  messages_.push_back({chunk_, kept.device(), to_next().start({{kept, next}}, {})});
}

// Asking moves messages of MPI on, and on the CPU memory is free as soon as the next rank has taken
// a history. On a GPU finish() makes the work that follows wait for the receiver: asked of every
// layer, it would tie a rank to the one after it, and the ranks of the ring to themselves.
void RingHistory::drop_taken() {
  while (!messages_.empty() && messages_.front().pending.done() &&
         messages_.front().device == DeviceKind::cpu) {
    messages_.front().pending.finish();
    messages_.pop_front();
  }
}

void RingHistory::finish() {
  for (; !messages_.empty(); messages_.pop_front()) messages_.front().pending.finish();
}

}  // namespace weft
