// Told after every step on all ranks, decides with them whether to keep the state, and writes it on
// rank 0.
#include <algorithm>
#include <cstring>

#include "weft/base/log.h"
#include "weft/base/stages.h"
#include "weft/run/checkpoint.h"
#include "weft/run/stop_request.h"

#include "output_paths.h"

namespace weft {
namespace {

// A state as bytes, for its way between ranks: counts, names and values one after the other.
class Packer {
 public:
  void number(std::int64_t value) { bytes_of(&value, sizeof value); }
  void text(const std::string& value) {
    number(static_cast<std::int64_t>(value.size()));
    bytes_of(value.data(), value.size());
  }
  void tensor(const Tensor& t) {
    number(t.defined() ? t.shape().rank() : -1);
    if (!t.defined()) return;
    for (int i = 0; i < t.shape().rank(); ++i) number(t.dim(i));
    bytes_of(t.raw(), t.bytes());
  }
  std::vector<std::byte> bytes;

 private:
  void bytes_of(const void* data, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), from, from + size);
  }
};

class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : rest_(bytes) {}
  std::int64_t number() {
    std::int64_t value = 0;
    take(&value, sizeof value);
    return value;
  }
  std::string text() {
    std::string value(static_cast<std::size_t>(number()), '\0');
    take(value.data(), value.size());
    return value;
  }
  Tensor tensor() {
    const std::int64_t rank = number();
    if (rank < 0) return {};
    std::vector<std::int64_t> dims;
    for (std::int64_t i = 0; i < rank; ++i) dims.push_back(number());
    Tensor t = Tensor::empty(Shape(dims));
    take(t.raw(), t.bytes());
    return t;
  }

 private:
  void take(void* to, std::size_t size) {
    WEFT_ASSERT(size <= rest_.size(), "{} bytes of {} left", size, rest_.size());
    std::memcpy(to, rest_.data(), size);
    rest_ = rest_.subspan(size);
  }
  std::span<const std::byte> rest_;
};

std::vector<std::byte> pack(const DenoiseState& state) {
  Packer p;
  p.number(state.steps_done);
  p.number(std::ssize(state.windows));
  for (const WindowState& w : state.windows) {
    p.number(w.window);
    p.number(std::ssize(w.tensors));
    for (const auto& [name, tensor] : w.tensors) {
      p.text(name);
      p.tensor(tensor);
    }
    p.number(std::ssize(w.integers));
    for (const auto& [name, value] : w.integers) {
      p.text(name);
      p.number(value);
    }
  }
  return std::move(p.bytes);
}

void unpack(std::span<const std::byte> bytes, DenoiseState& into) {
  Unpacker u(bytes);
  into.steps_done = static_cast<int>(u.number());
  for (std::int64_t windows = u.number(); windows > 0; --windows) {
    WindowState w;
    w.window = static_cast<int>(u.number());
    for (std::int64_t n = u.number(); n > 0; --n) {
      std::string name = u.text();
      w.tensors.emplace_back(std::move(name), u.tensor());
    }
    for (std::int64_t n = u.number(); n > 0; --n) {
      std::string name = u.text();
      w.integers.emplace_back(std::move(name), static_cast<int>(u.number()));
    }
    into.windows.push_back(std::move(w));
  }
}

}  // namespace

CheckpointFiles checkpoint_files(const Job& job, const PreparedJob& prepared) {
  return {checkpoint_path(job), job_identity(job, prepared)};
}

void check_checkpoint(const Job& job, const PreparedJob& prepared, const Communicator& comm) {
  Problems problems;
  const bool uses = job.checkpoint_every != "off" && job.resume;
  if (comm.rank() == 0 && uses) {
    problems.collect([&] { checkpoint_files(job, prepared).check(); });
  }
  std::string problem = problems.empty() ? "" : problems.list().front();
  comm.broadcast_string(problem, 0);
  if (!problem.empty()) fail_input("{}", problem);
}

JobCheckpoints::JobCheckpoints(const Communicator& comm, std::optional<CheckpointFiles> files,
                               double every, bool resume)
    : comm_(comm),
      files_(std::move(files)),
      every_(every),
      resume_(resume),
      last_(now_seconds()),
      step_begin_(last_) {}

JobCheckpoints::~JobCheckpoints() { wait(); }

std::optional<DenoiseState> JobCheckpoints::load() {
  std::vector<std::byte> bytes;
  if (files_ && resume_) {
    if (const auto state = files_->read()) {
      bytes = pack(*state);
      steps_kept_ = state->steps_done;
    }
  }
  auto size = static_cast<std::int64_t>(bytes.size());
  comm_.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
  step_begin_ = last_ = now_seconds();
  if (size == 0) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(size));
  comm_.broadcast(bytes, 0);
  DenoiseState state;
  unpack(bytes, state);
  return state;
}

Checkpoints::Then JobCheckpoints::after_step(int done, int total) {
  const double now = now_seconds();
  longest_step_ = std::max(longest_step_, now - step_begin_);
  step_begin_ = now;
  const auto reason = StopRequest::pending(stop_margin(longest_step_));
  // The last state is kept, too: decoding may be stopped as well.
  const bool due = every_ > 0 && (now - last_ >= every_ || done == total);
  const double wish = reason ? 2 : due && comm_.rank() == 0 ? 1 : 0;
  const auto agreed = static_cast<int>(comm_.max(wish));
  if (agreed == 0) return Then::go_on;
  if (agreed == 2) stop_reason_ = reason.value_or("another rank was told to stop");
  return agreed == 2 ? Then::save_and_stop : Then::save;
}

void JobCheckpoints::save(DenoiseState mine) {
  const double begin = now_seconds();
  const auto parts = comm_.gather(pack(mine), 0);
  if (files_) {
    DenoiseState all;
    for (const auto& part : parts) unpack(part, all);
    std::ranges::sort(all.windows, {}, &WindowState::window);
    wait();
    writer_ = std::thread([this, all = std::move(all)] {
      try {
        files_->write(all);
        steps_kept_ = all.steps_done;
        failure_.clear();
      } catch (const std::exception& e) {
        failure_ = e.what();
        log_warn("no checkpoint after step {}: {}", all.steps_done, e.what());
      }
    });
  }
  last_ = now_seconds();
  seconds_spent_ += last_ - begin;
  ++count_;
  step_begin_ = last_;
}

void JobCheckpoints::wait() {
  if (writer_.joinable()) writer_.join();
}

void JobCheckpoints::finish_writing() {
  wait();
  if (!failure_.empty()) fail("the state of the job could not be kept: {}", failure_);
}

void JobCheckpoints::remove() {
  wait();
  if (files_) files_->remove();
}

}  // namespace weft
