#pragma once
// The watchdog of a job: ends all ranks when one is dead, stopped or stuck, and says which one, on
// which host, in which stage. MPI alone does not: a stopped rank hangs the job silently, and some
// launchers leave the peers of a dead one running.
//
// A thread per process exchanges one small packet a second with rank 0 over TCP, beside MPI. It
// calls neither MPI nor a GPU library: those may be what hangs.

#include <memory>

#include "weft/comm/communicator.h"
#include "weft/comm/session.h"

namespace weft {

/// Of a rank that ends because another one is lost: not a failure of the job, which may be started
/// again.
inline constexpr int lost_rank_exit_code = 69;

struct HeartbeatOptions {
  /// A rank unheard for so long is lost, seconds, at least 2. It is the observer's time: when the
  /// observer itself was stopped, all others get a fresh period.
  double silence = 20;
  /// No rank has made progress (base/activity.h) for so long: the job is stuck, seconds; 0: off.
  /// Must exceed the longest time between two notes of progress.
  double stall = 0;
  /// Ends this process with an exit code, on the watchdog's thread; null: _exit. Must not return.
  void (*end)(int exit_code) = nullptr;
};

class Heartbeat {
 public:
  /// Collective, on the main thread; `comm` has at least two ranks, one Heartbeat per process.
  /// Never throws for lack of a network: ranks that rank 0 cannot be reached from go on unwatched,
  /// and rank 0 logs which, and why.
  Heartbeat(const Communicator& comm, const Session& session, const HeartbeatOptions& options = {});
  /// Says goodbye; rank 0 waits up to 2 s for the goodbyes of the others. While an exception
  /// unwinds it does what quiet() does instead.
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  /// Ranks under watch after the constructor, rank 0 included; the same on every rank.
  [[nodiscard]] int watched() const { return watched_; }

  /// To be called before this process ends the job on purpose (Session::abort): nobody then reports
  /// it as lost. A rank that is still there 10 s later is ended without a word. Does nothing when
  /// there is no Heartbeat; never throws.
  static void quiet() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int watched_ = 1;
};

}  // namespace weft
