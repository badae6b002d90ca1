#include "weft/parallel/ring_history.h"

#include "weft/base/error.h"

namespace weft {
namespace {

std::span<std::byte> bytes_of(const Tensor& t) { return {t.raw(), t.bytes()}; }

}  // namespace

RingHistory::RingHistory(const Communicator& comm, std::vector<bool> skips_first, int chunks)
    : comm_(comm.split(0)),
      skips_first_(std::move(skips_first)),
      chunks_(chunks),
      local_(comm_.size() == 1 ? skips_first_.size() : 0) {}

void RingHistory::check_layer(int layer) const {
  WEFT_ASSERT(chunk_ >= 0, "history of layer {} before any chunk has begun", layer);
  WEFT_ASSERT(layer >= 0 && layer < std::ssize(skips_first_), "layer {} of {}", layer,
              skips_first_.size());
  WEFT_ASSERT(chunk_ > 0 || !skips_first_[static_cast<std::size_t>(layer)],
              "layer {} takes no part in the first chunk", layer);
}

void RingHistory::begin_chunk(int chunk) {
  const int expected = chunk_ < 0 ? comm_.rank() : chunk_ + comm_.size();
  WEFT_ASSERT(chunk == expected && chunk < chunks_, "chunk {} of {} on rank {} of {}, want {}",
              chunk, chunks_, comm_.rank(), comm_.size(), expected);
  // Histories of the chunk just done may still be on their way: the next rank takes them while it
  // decodes, and waiting for it here would make the ranks take turns.
  while (!messages_.empty() && messages_.front().chunk < chunk_) {
    messages_.front().pending.wait();
    messages_.pop_front();
  }
  chunk_ = chunk;
}

void RingHistory::take(int layer, Tensor to) {
  check_layer(layer);
  drop_sent();
  const auto at = static_cast<std::size_t>(layer);
  const bool first_use = chunk_ == 0 || (chunk_ == 1 && skips_first_[at]);
  if (first_use) {
    fill_zero(to);
    return;
  }
  if (comm_.size() == 1) {
    WEFT_ASSERT(local_[at].defined(), "chunk {} left no history of layer {}", chunk_ - 1, layer);
    copy(local_[at], to);
    return;
  }
  // The network reads and writes host memory; a tensor on a GPU is copied through it.
  const bool on_host = to.device() == DeviceKind::cpu;
  const Tensor host = on_host ? to : Tensor::empty(to.shape(), to.dtype());
  const int before = (comm_.rank() + comm_.size() - 1) % comm_.size();
  const ScopedContext context(
      fmt::format("taking the history of layer {} for chunk {}", layer, chunk_));
  comm_.receive(bytes_of(host), before, layer);
  if (!on_host) copy(host, to);
}

void RingHistory::put(int layer, const Tensor& last) {
  check_layer(layer);
  drop_sent();
  if (chunk_ + 1 == chunks_) return;  // nobody comes after
  if (comm_.size() == 1) {
    local_[static_cast<std::size_t>(layer)] = last.clone();
    return;
  }
  const Tensor kept = Tensor::empty(last.shape(), last.dtype());
  copy(last, kept);
  auto pending = comm_.start_send(bytes_of(kept), (comm_.rank() + 1) % comm_.size(), layer);
  messages_.push_back({chunk_, kept, std::move(pending)});
}

void RingHistory::drop_sent() {
  while (!messages_.empty() && messages_.front().pending.done()) messages_.pop_front();
}

void RingHistory::finish() {
  for (; !messages_.empty(); messages_.pop_front()) messages_.front().pending.wait();
}

}  // namespace weft
