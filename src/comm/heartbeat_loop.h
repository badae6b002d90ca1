#pragma once
// What the watchdog's thread does, on rank 0 and on the others. It may call sockets, clocks,
// write(2), kill(2) and _exit, and nothing that can hang with the rest of the process.

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "weft/comm/heartbeat.h"

#include "heartbeat_link.h"

namespace weft {

class HeartbeatLoop {
 public:
  /// `self`: the token, and this process as others shall name it.
  HeartbeatLoop(const HeartbeatOptions& options, const Packet& self);
  virtual ~HeartbeatLoop() = default;
  HeartbeatLoop(const HeartbeatLoop&) = delete;
  HeartbeatLoop& operator=(const HeartbeatLoop&) = delete;

  /// The body of the thread: until the goodbye, or the end of the process.
  void run();

  // From other threads:
  void ask_goodbye();
  /// Waits up to 0.3 s, until the others have been told.
  void ask_quiet();

 protected:
  /// Handles what arrives, until `until` (now_seconds()) or until wake() has something to say.
  virtual void wait_for_packets(double until) = 0;
  virtual void send_beats() = 0;
  /// Ends the job when somebody is lost. Called after each wait, unless the job is ending on
  /// purpose.
  virtual void judge(double now) = 0;
  /// When judge() has to be called even if nothing arrives.
  [[nodiscard]] virtual double next_judgement() const = 0;
  /// This process was stopped for a while: what it heard last says nothing.
  virtual void forget_silence(double now) = 0;
  virtual void send_leaving() = 0;
  virtual void say_goodbye() = 0;

  [[nodiscard]] const HeartbeatOptions& options() const { return options_; }
  [[nodiscard]] const Token& token() const { return self_.token; }
  [[nodiscard]] int wake_fd() const { return wake_.get(); }
  void clear_wake() const;
  /// A packet about this process as it is now.
  [[nodiscard]] Packet packet(PacketKind kind) const;

  /// The job ends on purpose: no more reports; this process is given a while to go.
  void expect_end(double now);
  /// One line on stderr, by one write(2).
  static void say(const std::string& line);
  [[noreturn]] void end_process() const;

 private:
  HeartbeatOptions options_;
  Packet self_;
  double interval_;
  Descriptor wake_;
  std::optional<double> end_at_;
  std::atomic<bool> goodbye_{false}, quiet_{false}, quiet_told_{false};
};

/// Connections that break are reported so much later, s: when a launcher ends all ranks, this one
/// goes as well, and the first to go is not blamed.
inline constexpr double settle_seconds = 0.3;

/// How a report goes on after it has said who was lost.
inline constexpr const char* report_end =
    ": ending the job; run the same command again to continue\n";

/// "weft: rank 3 on node n2"
std::string report_begin(const Packet& lost);
/// "was last heard 20 s ago, in denoise, step 12"
std::string silence_text(const Packet& lost, double seconds);
/// "is gone (its connection broke), last seen in denoise, step 12"
std::string gone_text(const Packet& lost);

/// Rank 0: listens, hears all others.
std::unique_ptr<HeartbeatLoop> make_heartbeat_center(const HeartbeatOptions& options,
                                                     const Packet& self, int ranks,
                                                     Descriptor listener);
/// Another rank, connected to rank 0, which last said `center`.
std::unique_ptr<HeartbeatLoop> make_heartbeat_member(const HeartbeatOptions& options,
                                                     const Packet& self, Link link,
                                                     const Packet& center);

}  // namespace weft
