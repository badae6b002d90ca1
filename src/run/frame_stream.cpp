// Receives frames from the decode stage in order, hands them to the encoder, the contact sheet and
// the meters.
#include "weft/run/frame_stream.h"

#include <future>

namespace weft {
namespace {
constexpr std::size_t most_waiting = 2;  // pushes: one being filled, one being encoded
}

FrameStream::FrameStream(std::unique_ptr<VideoEncoder> encoder, std::optional<ContactSheet> sheet,
                         SeamMeter seams, std::optional<FlowMeter> flow)
    : encoder_(std::move(encoder)),
      sheet_(std::move(sheet)),
      seams_(std::move(seams)),
      flow_(std::move(flow)),
      thread_([this] { run(); }) {}

FrameStream::~FrameStream() { close(); }

void FrameStream::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void FrameStream::push(const Tensor& frames) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queue_.size() < most_waiting || failure_; });
  if (failure_) std::rethrow_exception(failure_);
  queue_.push_back(frames);
  changed_.notify_all();
}

void FrameStream::drain() {
  close();
  if (failure_) std::rethrow_exception(failure_);
}

void FrameStream::finish() {
  drain();
  const double begin = now_seconds();
  encoder_->finish();
  busy_ += now_seconds() - begin;
}

// chunk: [F, H, W, 3]. The flow takes as long as the encoder or longer, and each keeps its own
// order of frames: they work beside each other.
void FrameStream::encode(const Tensor& chunk) {
  const auto each_frame = [&](const auto& use) {
    for (std::int64_t f = 0; f < chunk.dim(0); ++f) use(chunk.slice(f, f + 1).span<std::uint8_t>());
  };
  std::future<void> measuring;  // waits for the end when it is destroyed
  if (flow_) {
    measuring = std::async(std::launch::async, each_frame,
                           [&](std::span<const std::uint8_t> pixels) { flow_->add(pixels); });
  }
  each_frame([&](std::span<const std::uint8_t> pixels) {
    encoder_->write(pixels);
    if (sheet_) sheet_->add(frames_, pixels);
    seams_.add(pixels);
    ++frames_;
  });
  if (measuring.valid()) measuring.get();
}

void FrameStream::run() {
  for (;;) {
    Tensor chunk;  // [F, H, W, 3]
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closed_ || !queue_.empty(); });
      if (queue_.empty()) return;
      chunk = queue_.front();
    }
    try {
      const double begin = now_seconds();
      encode(chunk);
      busy_ += now_seconds() - begin;
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
      queue_.clear();
      changed_.notify_all();
      return;
    }
    const std::lock_guard lock(mutex_);
    queue_.pop_front();  // only now: a chunk being encoded counts as waiting
    changed_.notify_all();
  }
}

}  // namespace weft
