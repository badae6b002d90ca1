#include "heartbeat_loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "weft/base/activity.h"
#include "weft/base/error.h"

namespace weft {
namespace {

constexpr double longest_interval = 1;  // s between two beats
constexpr double time_to_go = 10;       // s from an intended end until the watchdog helps

}  // namespace

HeartbeatLoop::HeartbeatLoop(const HeartbeatOptions& options, const Packet& self)
    : options_(options),
      self_(self),
      interval_(std::min(longest_interval, options.silence / 4)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (wake_.get() < 0) fail("the watchdog gets no eventfd: out of file descriptors?");
}

void HeartbeatLoop::run() {
  // A turn of the loop takes an interval at most: one so much longer means that this process did
  // not run, because it was stopped or starved.
  const double gap = std::min(3.0, options_.silence / 2);
  double last = now_seconds();
  double next_beat = last;
  while (!goodbye_) {
    double until = std::min(next_beat, next_judgement());
    if (end_at_) until = std::min(next_beat, *end_at_);
    wait_for_packets(until);
    const double now = now_seconds();
    if (now - last > gap) forget_silence(now);
    last = now;
    if (quiet_ && !quiet_told_) {
      send_leaving();
      expect_end(now);
      quiet_told_ = true;
    }
    if (now >= next_beat) {
      send_beats();
      next_beat = now + interval_;
    }
    if (!end_at_) {
      judge(now);
    } else if (now >= *end_at_) {
      end_process();
    }
  }
  if (!end_at_) say_goodbye();
}

void HeartbeatLoop::ask_goodbye() {
  goodbye_ = true;
  ::eventfd_write(wake_.get(), 1);
}

void HeartbeatLoop::ask_quiet() {
  quiet_ = true;
  ::eventfd_write(wake_.get(), 1);
  for (int i = 0; i < 300 && !quiet_told_; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void HeartbeatLoop::clear_wake() const {
  eventfd_t ignored = 0;
  ::eventfd_read(wake_.get(), &ignored);
}

Packet HeartbeatLoop::packet(PacketKind kind) const {
  Packet made = self_;
  made.kind = kind;
  made.activity = pack_activity(current_activity());
  made.progress = progress_count();
  return made;
}

void HeartbeatLoop::expect_end(double now) {
  if (!end_at_) end_at_ = now + time_to_go;
}

void HeartbeatLoop::say(const std::string& line) {
  const char* at = line.data();
  std::size_t left = line.size();
  for (int tries = 0; left > 0 && tries < 100; ++tries) {
    // A pipe that nobody reads must not keep a lost job alive.
    pollfd one{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&one, 1, 20) <= 0) continue;
    const ssize_t n = ::write(STDERR_FILENO, at, left);
    if (n > 0) {
      at += n;
      left -= static_cast<std::size_t>(n);
    }
  }
}

void HeartbeatLoop::end_process() const {
  if (options_.end != nullptr) options_.end(lost_rank_exit_code);
  ::_exit(lost_rank_exit_code);
}

std::string report_begin(const Packet& lost) {
  return fmt::format("weft: rank {} on node {}", lost.rank, lost.host.data());
}

std::string silence_text(const Packet& lost, double seconds) {
  return fmt::format("was last heard {:.0f} s ago, in {}", seconds,
                     activity_text(unpack_activity(lost.activity)));
}

std::string gone_text(const Packet& lost) {
  return "is gone (its connection broke), last seen in " +
         activity_text(unpack_activity(lost.activity));
}

}  // namespace weft
