#include "weft/parallel/ring_history.h"

#include <span>

#include "weft/base/error.h"

namespace weft {

namespace {

std::size_t bytes_of(const RingHistory::Layer& layer, DType type) {
  return static_cast<std::size_t>(layer.shape.numel()) * dtype_size(type);
}

/// The smallest piece of which a chunk's histories are not too many.
std::size_t piece_for(std::span<const RingHistory::Layer> layers, DType type) {
  WEFT_ASSERT(layers.size() <= device_link_pieces, "{} layers", layers.size());
  for (std::size_t piece = device_link_piece_bytes;; piece += device_link_piece_bytes) {
    std::size_t count = 0;
    for (const auto& layer : layers) count += (bytes_of(layer, type) + piece - 1) / piece;
    if (count <= device_link_pieces) return piece;
  }
}

}  // namespace

RingHistory::RingHistory(Fabric& fabric, const Communicator& group, std::vector<Layer> layers,
                         DType type, int chunks)
    : lanes_{fabric.link(group, Fabric::Lane::main), fabric.link(group, Fabric::Lane::second)},
      rank_(group.rank()),
      size_(group.size()),
      layers_(std::move(layers)),
      chunks_(chunks),
      local_(size_ == 1 ? layers_.size() : 0) {
  if (size_ == 1) return;
  if (fabric.device() == DeviceKind::cpu) {
    progress_.emplace();
  } else {
    make_room(type);
  }
}

// Lane by lane, on both sides of each pair.
void RingHistory::make_room(DType type) {
  const LinkRoom room{.piece = piece_for(layers_, type)};
  const auto sends = [&](int rank) { return rank + 1 < chunks_; };  // what it leaves is taken
  for (int lane = 0; lane < 2; ++lane) {
    const int from = sends(last()) && last() % 2 == lane ? last() : -1;
    const int to = sends(rank_) && rank_ % 2 == lane ? next() : -1;
    lanes_[static_cast<std::size_t>(lane)]->make_room(from, to, room);
  }
}

TensorLink& RingHistory::to_next() const { return *lanes_[static_cast<std::size_t>(rank_ % 2)]; }

int RingHistory::next() const { return (rank_ + 1) % size_; }

int RingHistory::last() const { return (rank_ + size_ - 1) % size_; }

TensorLink& RingHistory::from_last() const { return *lanes_[static_cast<std::size_t>(last() % 2)]; }

void RingHistory::check_layer(int layer) const {
  WEFT_ASSERT(chunk_ >= 0, "history of layer {} before any chunk has begun", layer);
  WEFT_ASSERT(layer >= 0 && layer < std::ssize(layers_), "layer {} of {}", layer, layers_.size());
  WEFT_ASSERT(chunk_ > 0 || !layers_[static_cast<std::size_t>(layer)].skips_first,
              "layer {} takes no part in the first chunk", layer);
}

bool RingHistory::is_first_use(int layer) const {
  return chunk_ == 0 || (chunk_ == 1 && layers_[static_cast<std::size_t>(layer)].skips_first);
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
  WEFT_ASSERT(arriving_.empty(), "chunk {} did not take all histories", chunk_);
  chunk_ = chunk;
  next_ = 0;
}

void RingHistory::take(int layer, Tensor to) {
  check_layer(layer);
  drop_taken();
  const auto at = static_cast<std::size_t>(layer);
  if (is_first_use(layer)) {
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
  if (to.device() != DeviceKind::cpu) {
    from_last().start({}, {{to, last()}}).finish();
    return;
  }
  expect_two(to.dtype());
  Arriving& arrived = arriving_.front();
  WEFT_ASSERT(arrived.layer == layer, "layer {} where layer {} is next", layer, arrived.layer);
  arrived.pending.finish();
  copy(arrived.history, to);
  arriving_.pop_front();
}

// This layer's and the next one's, which arrives while this layer is computed: a message that
// nobody waits for yet does not move.
void RingHistory::expect_two(DType type) {
  for (; next_ < std::ssize(layers_) && arriving_.size() < 2; ++next_) {
    if (is_first_use(next_)) continue;
    const Tensor space = Tensor::empty(layers_[static_cast<std::size_t>(next_)].shape, type);
    arriving_.push_back({next_, space, from_last().start({}, {{space, last()}})});
  }
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
  messages_.push_back({chunk_, kept.device(), to_next().start({{kept, next()}}, {})});
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
