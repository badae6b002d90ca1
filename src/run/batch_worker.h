#pragma once
// One rank of a group that renders the jobs of a folder.

#include <memory>
#include <optional>
#include <string>

#include "weft/run/batch.h"
#include "weft/run/engine.h"
#include "weft/run/rendered_clip.h"

#include "batch_turns.h"
#include "job_checks.h"

namespace weft {

/// What a group did.
struct GroupTally {
  int done = 0, failed = 0;
  double job_seconds = 0;  // of those that are done
  bool stopped = false;    // told to stop
};

class BatchWorker {
 public:
  /// `group`: ranks that work together, whose first rank is called `name` in the queue. `alone`:
  /// the run has no other group, so that this one may draw on the console. All outlive this.
  BatchWorker(const BatchOptions& options, const std::string& name, const Communicator& group,
              const Session& session, bool alone);
  ~BatchWorker();

  /// Renders until nothing is left for this group. Collective over the group. An error that the
  /// ranks do not share is thrown where there are several: they wait for each other for ever.
  GroupTally run();

 private:
  /// A clip whose last frames are being encoded while the next job has begun.
  struct Pending;
  /// The job at hand, on every rank of the group.
  struct Current {
    Job job;
    PreparedJob prepared;
    double begin = 0, after_denoise = 0;
    double asked = 0;                  // when the lease was looked at, rank 0
    std::unique_ptr<Pending> leading;  // rank 0
  };

  [[nodiscard]] bool leads() const { return group_.rank() == 0; }
  bool told_to_stop();
  Turn next_turn(std::string& job_text);
  void render(Turn turn, const std::string& job_text);
  void prepare(Current& current);
  /// An engine for this job: its machine, and whether its models may stay side by side.
  void ready_engine(Current& current);
  void give_upcoming(const Job& job);
  void after_step(Current& current, bool last);
  bool finish_pending();
  void fail(Pending& job, const std::string& error);
  void note_speed(double work, double seconds);

  const BatchOptions& options_;
  const Communicator& group_;
  const Session& session_;
  bool alone_;
  double free_memory_;  // bytes, before anything is loaded
  KnownInputs known_;
  std::string engine_key_;
  Keep keep_ = Keep::all;
  std::optional<Engine> engine_;
  GroupTally tally_;
  double work_done_ = 0, work_seconds_ = 0;

  // Of rank 0.
  std::optional<QueueFolder> folder_;
  std::optional<BatchTurns> turns_;
  std::unique_ptr<Pending> pending_;
};

}  // namespace weft
