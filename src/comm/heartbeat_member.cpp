// A rank other than 0: one connection, to rank 0, whom it misses as rank 0 misses it.
#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <poll.h>

#include "weft/base/activity.h"

#include "heartbeat_loop.h"

namespace weft {
namespace {

// The one rank that reports the loss of rank 0 comes first; the others end by themselves so much
// later, in case that one was lost as well.
constexpr double after_speaker = 2;        // s
constexpr double own_goodbye_seconds = 1;  // for rank 0 to take note

class Member final : public HeartbeatLoop {
 public:
  Member(const HeartbeatOptions& options, const Packet& self, Link link, const Packet& center)
      : HeartbeatLoop(options, self), rank_(self.rank), link_(std::move(link)), center_(center) {}

 protected:
  void wait_for_packets(double until) override {
    const double left = std::max(0.0, until - now_seconds());
    pollfd both[] = {{wake_fd(), POLLIN, 0}, {connected_ ? link_.fd() : -1, POLLIN, 0}};
    if (::poll(both, 2, static_cast<int>(left * 1e3) + 1) <= 0) return;
    if (both[0].revents != 0) clear_wake();
    if (both[1].revents != 0) read();
  }

  void send_beats() override {
    if (connected_) link_.send(packet(PacketKind::beat));
  }

  void judge(double now) override {
    if (!watching_) return;
    const bool silent = now - heard_ > options().silence;
    if (connected_ && !silent) {
      lost_at_.reset();
      return;
    }
    if (!lost_at_) {
      lost_at_ = now;
      report_ = report_begin(center_) + " " +
                (connected_ ? silence_text(center_, now - heard_) : gone_text(center_)) +
                report_end;
    }
    if (now >= verdict_at()) end_without_center();
  }

  [[nodiscard]] double next_judgement() const override {
    return watching_ && lost_at_ ? verdict_at() : std::numeric_limits<double>::max();
  }

  void forget_silence(double now) override { heard_ = now; }

  void send_leaving() override {
    if (connected_) link_.send(packet(PacketKind::leaving));
  }

  void say_goodbye() override {
    if (!connected_) return;
    link_.send(packet(PacketKind::goodbye));
    link_.finish_sending();
    // Rank 0 closes when it has read that; to close first could make it lose the last packet.
    const double until = now_seconds() + own_goodbye_seconds;
    while (connected_ && now_seconds() < until) wait_for_packets(until);
  }

 private:
  void read() {
    for (;;) {
      Packet arrived;
      const Link::Got got = link_.receive(arrived, token());
      if (got == Link::Got::nothing) return;
      if (got == Link::Got::closed) {
        connected_ = false;
        return;
      }
      handle(arrived);
    }
  }

  void handle(const Packet& arrived) {
    switch (arrived.kind) {
      case PacketKind::beat:
        heard_ = now_seconds();
        center_ = arrived;
        break;
      case PacketKind::goodbye:
        watching_ = false;
        break;
      case PacketKind::leaving:
        expect_end(now_seconds());
        break;
      case PacketKind::end:  // rank 0 has reported it
        kill_if_here(arrived.process);
        end_process();
    }
  }

  [[nodiscard]] bool speaks() const { return center_.speaker == rank_; }

  [[nodiscard]] double verdict_at() const {
    return *lost_at_ + (connected_ ? 0 : settle_seconds) + (speaks() ? 0 : after_speaker);
  }

  [[noreturn]] void end_without_center() {
    if (speaks()) say(report_);
    // A launcher that ends the job first wakes a stopped rank 0: it then finds this.
    Packet end = center_;
    end.kind = PacketKind::end;
    if (connected_) link_.send(end);
    kill_if_here(center_.process);
    end_process();
  }

  int rank_;
  Link link_;
  bool connected_ = true;
  bool watching_ = true;  // rank 0 has not said goodbye
  Packet center_;         // rank 0's last beat
  double heard_ = now_seconds();
  std::optional<double> lost_at_;
  std::string report_;
};

}  // namespace

std::unique_ptr<HeartbeatLoop> make_heartbeat_member(const HeartbeatOptions& options,
                                                     const Packet& self, Link link,
                                                     const Packet& center) {
  return std::make_unique<Member>(options, self, std::move(link), center);
}

}  // namespace weft
