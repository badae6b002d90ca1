#pragma once
// Many jobs from a folder that any number of runs share (weft/run/queue_folder.h). The ranks of a
// run form groups of equal size; each group renders one job after the other with models that stay
// loaded, and decides by itself which one comes next: there is no coordinator.
//
//   FOLDER/jobs/ID/clip.mp4, clip.record.h5, clip.sheet.png   as of `weft render` (FFV1: clip.mkv)
//                  clip.weft/   checkpoint of a job under way
//                  weft.log     the run's log lines while this job was rendered, all attempts

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "weft/comm/communicator.h"
#include "weft/comm/session.h"
#include "weft/run/job_list.h"
#include "weft/run/schedule.h"

namespace weft {

struct BatchOptions {
  std::filesystem::path folder;
  /// Where the machine's keys, those of stopping and `record` (only "none") come from: they belong
  /// to the run, not to the clip. Jobs of the list may say otherwise for themselves.
  Job defaults;
  int ranks_per_job = 0;  // divides the ranks of the run; 0: all of them
  JobOrder order = JobOrder::priority;
  Balance balance = Balance::measured;
  int max_concurrent = 0;     // jobs that all runs together render at a time; 0: no limit
  double job_timeout = 0;     // seconds of one attempt; 0: none
  double lease_timeout = 60;  // seconds
  int attempts = 3;           // failed ones, then a job is parked
  bool retry_parked = false;  // parked jobs and blocked workers get another chance
};

/// One rank of a group has failed in a place where the others wait for it: all ranks have to end.
/// The job's attempt is counted; the same command goes on with the other jobs.
class BrokenGroup : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What became of a batch.
struct BatchEnd {
  int exit_code = 0;  // 0: every job is done; 1: some are parked, or left; 75: told to stop
  int jobs = 0, done = 0, parked = 0;  // of the folder; known to every rank
};

/// Checks every job before any is begun: throws the same InputError, with all problems, on every
/// rank. `found`: what was already wrong. `jobs`: on rank 0; none: what lies in the folder is
/// rendered. Rank 0 prints a line per job and a summary. Collective over `world`, all ranks of the
/// session.
BatchEnd run_batch(const std::vector<ListedJob>& jobs, const BatchOptions& options,
                   const Problems& found, const Communicator& world, const Session& session);

/// The checks alone; rank 0 prints what would be rendered.
void check_batch(const std::vector<ListedJob>& jobs, const BatchOptions& options,
                 const Problems& found, const Communicator& world, const Session& session);

/// Where a job of the folder has its clip.
std::filesystem::path batch_clip(const std::filesystem::path& folder, const std::string& id,
                                 const Job& job);

}  // namespace weft
