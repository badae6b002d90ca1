// Rank 0: hears every other rank, answers each, and tells all of them when the job has to end.
#include <algorithm>
#include <cerrno>
#include <limits>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "weft/base/activity.h"
#include "weft/base/error.h"

#include "heartbeat_loop.h"

namespace weft {
namespace {

constexpr double naming_seconds = 10;     // for a new connection to say who it is
constexpr double goodbye_seconds = 2;     // for the others' goodbyes
constexpr double last_words_seconds = 1;  // for the others to read the end of the job
constexpr std::size_t listed_ranks = 8;   // in the report of a stuck job

struct Peer {
  int fd = -1;  // its connection; -1: none
  bool watched = false;
  Packet last;
  double heard = 0;  // s, now_seconds()
  double moved = 0;  // when its progress last grew
};

struct Connection {
  Link link;
  int rank;  // -1: has not said yet
  double since;
};

class Center final : public HeartbeatLoop {
 public:
  Center(const HeartbeatOptions& options, const Packet& self, int ranks, Descriptor listener)
      : HeartbeatLoop(options, self),
        listener_(std::move(listener)),
        events_(::epoll_create1(EPOLL_CLOEXEC)),
        peers_(static_cast<std::size_t>(ranks)) {
    if (events_.get() < 0) fail("the watchdog gets no epoll: out of file descriptors?");
    watch_descriptor(wake_fd());
    watch_descriptor(listener_.get());
  }

 protected:
  void wait_for_packets(double until) override {
    const double left = std::max(0.0, until - now_seconds());
    std::array<epoll_event, 256> events{};
    const int n = ::epoll_wait(events_.get(), events.data(), static_cast<int>(events.size()),
                               static_cast<int>(std::min(left, 60.0) * 1e3) + 1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == wake_fd()) {
        clear_wake();
      } else if (fd == listener_.get()) {
        accept_all();
      } else {
        read(fd);
      }
    }
  }

  void send_beats() override {
    update_speaker();
    send_to_all(beat());
    const double now = now_seconds();
    note_own_progress(now);
    std::erase_if(connections_, [&](const auto& c) {
      return c.second.rank < 0 && now - c.second.since > naming_seconds;
    });
    if (!accepting_) accepting_ = watch_descriptor(listener_.get());
  }

  void judge(double now) override {
    if (gone_ > 0 && now >= gone_at_ + settle_seconds) report_gone();
    for (const Peer& peer : peers_) {
      const double silent = now - peer.heard;
      if (!peer.watched || peer.fd < 0 || silent <= options().silence) continue;
      end_job(report_begin(peer.last) + " " + silence_text(peer.last, silent) + report_end,
              peer.last);
    }
    if (options().stall > 0 && now - last_move() > options().stall) {
      Packet nobody = packet(PacketKind::end);
      nobody.rank = -1;
      nobody.process = {};
      end_job(stall_report(now), nobody);
    }
  }

  [[nodiscard]] double next_judgement() const override {
    return gone_ > 0 ? gone_at_ + settle_seconds : std::numeric_limits<double>::max();
  }

  void forget_silence(double now) override {
    for (Peer& peer : peers_) peer.heard = peer.moved = now;
    moved_ = now;
  }

  void send_leaving() override { send_to_all(packet(PacketKind::leaving)); }

  void say_goodbye() override {
    send_to_all(packet(PacketKind::goodbye));
    const double until = now_seconds() + goodbye_seconds;
    const auto missed = [](const Peer& p) { return p.watched && p.fd >= 0; };
    while (std::ranges::any_of(peers_, missed) && now_seconds() < until) wait_for_packets(until);
  }

 private:
  bool watch_descriptor(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return ::epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  void accept_all() {
    for (;;) {
      Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      const int fd = socket.get();
      if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
      if (fd < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        // Out of descriptors or memory: the listener would wake this thread for ever.
        ::epoll_ctl(events_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
        accepting_ = false;
      }
      if (fd < 0) return;
      if (connections_.size() > 2 * peers_.size() + 64 || !watch_descriptor(fd)) continue;
      connections_.insert_or_assign(fd, Connection{Link(std::move(socket)), -1, now_seconds()});
    }
  }

  void read(int fd) {
    const auto at = connections_.find(fd);
    if (at == connections_.end()) return;
    for (;;) {
      Packet arrived;
      const Link::Got got = at->second.link.receive(arrived, token());
      if (got == Link::Got::nothing) return;
      if (got == Link::Got::closed) {
        on_closed(at->second);
        connections_.erase(at);
        return;
      }
      if (!handle(at->second, arrived)) {
        connections_.erase(at);
        return;
      }
    }
  }

  /// false: the connection has served.
  bool handle(Connection& from, const Packet& arrived) {
    if (arrived.kind == PacketKind::end) end_unheard(arrived);
    if (arrived.rank < 1 || arrived.rank >= static_cast<int>(peers_.size())) return false;
    Peer& peer = peers_[static_cast<std::size_t>(arrived.rank)];
    const double now = now_seconds();
    if (from.rank < 0) {
      if (peer.fd >= 0) connections_.erase(peer.fd);  // it has come back
      from.rank = arrived.rank;
      peer = {from.link.fd(), true, arrived, now, now};
      // Who speaks must be known before it is needed, also when rank 0 is lost at once.
      if (const int before = speaker_; update_speaker() != before) send_to_all(beat());
      from.link.send(beat());
    }
    if (arrived.progress != peer.last.progress) peer.moved = now;
    peer.last = arrived;
    peer.heard = now;
    if (arrived.kind == PacketKind::goodbye) {
      peer.watched = false;
      peer.fd = -1;
      return false;
    }
    if (arrived.kind == PacketKind::leaving) {
      peer.watched = false;
      if (gone_ > 0) report_gone();  // why it is leaving
      send_leaving();
      expect_end(now);
    }
    return true;
  }

  void on_closed(const Connection& connection) {
    if (connection.rank < 0) return;
    Peer& peer = peers_[static_cast<std::size_t>(connection.rank)];
    peer.fd = -1;
    if (!peer.watched) return;
    peer.watched = false;
    if (gone_++ > 0) return;
    gone_at_ = now_seconds();
    first_gone_ = peer.last;
  }

  [[noreturn]] void report_gone() {
    const std::string others =
        gone_ > 1 ? fmt::format(", and {} more after it", gone_ - 1) : std::string();
    end_job(report_begin(first_gone_) + " " + gone_text(first_gone_) + others + report_end,
            first_gone_);
  }

  [[noreturn]] void end_job(const std::string& report, Packet lost) {
    say(report);
    lost.kind = PacketKind::end;
    lost.token = token();
    send_to_all(lost);
    kill_if_here(lost.process);
    std::erase_if(connections_, [](const auto& c) { return c.second.rank < 0; });
    for (auto& [fd, connection] : connections_) connection.link.finish_sending();
    for (Peer& peer : peers_) peer.watched = false;
    // Whoever has read it closes; to close first could make the kernel drop what was sent.
    const double until = now_seconds() + last_words_seconds;
    while (!connections_.empty() && now_seconds() < until) wait_for_packets(until);
    end_process();
  }

  /// The others have given this process up, and said so, while it was stopped.
  [[noreturn]] void end_unheard(Packet end) {
    send_to_all(end);
    end_process();
  }

  void send_to_all(const Packet& sent) {
    for (auto& [fd, connection] : connections_) {
      if (connection.rank >= 0) connection.link.send(sent);
    }
  }

  [[nodiscard]] Packet beat() const {
    Packet made = packet(PacketKind::beat);
    made.speaker = speaker_;
    return made;
  }

  /// Who reports the loss of this rank: the lowest on another machine, which may outlive this one.
  int update_speaker() {
    const auto watched = [](const Peer& p) { return p.watched && p.fd >= 0; };
    const std::uint64_t here = packet(PacketKind::beat).process.host;
    auto best = std::ranges::find_if(
        peers_, [&](const Peer& p) { return watched(p) && p.last.process.host != here; });
    if (best == peers_.end()) best = std::ranges::find_if(peers_, watched);
    return speaker_ = best == peers_.end() ? -1 : best->last.rank;
  }

  void note_own_progress(double now) {
    if (progress_count() == progress_) return;
    progress_ = progress_count();
    moved_ = now;
  }

  [[nodiscard]] double last_move() const {
    double last = moved_;
    for (const Peer& p : peers_) last = p.watched ? std::max(last, p.moved) : last;
    return last;
  }

  /// First who is not in a wait, then who has been stuck for longest: the others wait for those.
  [[nodiscard]] std::string stall_report(double now) const {
    std::vector<std::pair<double, Packet>> ranks{{moved_, packet(PacketKind::beat)}};
    for (const Peer& p : peers_) {
      if (p.watched) ranks.emplace_back(p.moved, p.last);
    }
    std::ranges::stable_sort(ranks, {}, [](const std::pair<double, Packet>& r) {
      const bool waits = unpack_activity(r.second.activity).stage == Stage::wait;
      return std::pair(waits, r.first);
    });
    std::string list;
    for (std::size_t i = 0; i < std::min(ranks.size(), listed_ranks); ++i) {
      const auto& [moved, last] = ranks[i];
      list +=
          fmt::format("{}rank {} on node {} in {} for {:.0f} s", i == 0 ? " " : "; ", last.rank,
                      last.host.data(), activity_text(unpack_activity(last.activity)), now - moved);
    }
    if (ranks.size() > listed_ranks) list += fmt::format("; {} more", ranks.size() - listed_ranks);
    return fmt::format("weft: no rank has made progress for {:.0f} s:{}{}", now - last_move(), list,
                       report_end);
  }

  Descriptor listener_, events_;
  bool accepting_ = true;
  std::map<int, Connection> connections_;
  std::vector<Peer> peers_;  // by rank; [0] unused
  int speaker_ = -1;
  std::uint64_t progress_ = 0;
  double moved_ = now_seconds();  // when this rank's own progress last grew
  int gone_ = 0;                  // ranks whose connections broke
  double gone_at_ = 0;            // the first of them
  Packet first_gone_;
};

}  // namespace

std::unique_ptr<HeartbeatLoop> make_heartbeat_center(const HeartbeatOptions& options,
                                                     const Packet& self, int ranks,
                                                     Descriptor listener) {
  return std::make_unique<Center>(options, self, ranks, std::move(listener));
}

}  // namespace weft
