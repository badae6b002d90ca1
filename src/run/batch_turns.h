#pragma once
// What a group's first rank does next: a job, waiting, or nothing more. Works it out from the
// folder alone.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "weft/run/batch.h"
#include "weft/run/queue_folder.h"

namespace weft {

struct Turn {
  enum class Kind : std::uint8_t { job, wait, over };
  Kind kind = Kind::over;
  std::string id;              // job
  std::optional<Lease> lease;  // job
  double work = 0;             // job: operations
  double seconds = 0;          // wait
};

class BatchTurns {
 public:
  BatchTurns(QueueFolder& folder, const BatchOptions& options)
      : folder_(folder), options_(options) {}

  /// `finish_pending`: ends the job of this group whose clip is still being encoded; false when
  /// there is none. Called before waiting, and before saying that all is over.
  Turn next(const std::function<bool()>& finish_pending);

  /// A job that next() gave is done.
  void note_done(const std::string& id) { set_state(id, JobState::done); }
  /// The list at hand is not to be used any more: a job has ended otherwise.
  void look_again() { listed_at_ = -1; }

  /// The next jobs that wait, in the order in which they are given out; at most `most`.
  [[nodiscard]] std::vector<std::string> waiting(std::size_t most) const;

 private:
  /// Lists the folder when the list at hand has become old: of 100,000 jobs that takes a while.
  void refresh();
  [[nodiscard]] bool too_many() const;
  std::optional<Turn> try_take();
  Turn wait();
  void set_state(const std::string& id, JobState state);

  QueueFolder& folder_;
  const BatchOptions& options_;
  std::vector<JobView> jobs_;
  double listed_at_ = -1, list_seconds_ = 0;  // < 0: never, or not to be used any more
  double pause_ = 1;                          // seconds
};

}  // namespace weft
