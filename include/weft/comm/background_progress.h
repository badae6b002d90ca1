#pragma once
// Messages that move on while the rank computes.

#include <thread>

namespace weft {

/// MPI moves a long message inside its calls only, unless the network's hardware or one copy by the
/// kernel does it: over TCP, and in shared memory where that copy is not allowed, a receiver waits
/// until a computing sender makes its next call. While one of these lives, a thread makes such
/// calls. Computing beside it is up to a tenth slower, so only where others wait for messages of a
/// rank that computes.
class BackgroundProgress {
 public:
  /// Starts the thread, where MPI may be called from several (MPI_THREAD_MULTIPLE).
  BackgroundProgress();

  /// False where MPI did not allow it: messages then move as they do without.
  [[nodiscard]] bool running() const { return thread_.joinable(); }

 private:
  std::jthread thread_;  // asked to stop and waited for at the end
};

}  // namespace weft
