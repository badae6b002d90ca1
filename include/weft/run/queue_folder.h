#pragma once
// A folder of jobs that any number of runs share without a server: array tasks, nodes, laptops on
// one file system, each with any number of rank groups.
//
//   FOLDER/jobs/ID/job.toml      the job's text; the folder appears with it and `order` in one
//   rename
//                  order         priority, work and place in the list
//                  lease         held by who renders it (weft/run/lease.h)
//                  attempts      a line for every attempt that failed or vanished
//                  returned.T    attempt T does not count: its worker was at fault
//                  parked        given up, with the last error; --retry-parked removes it
//                  done          created last and exclusively: the first to finish is the one
//                  (checkpoint, log and clip are the renderer's)
//   FOLDER/workers/WORKER        host, speed, and the failures since the last success
//
// A job's state follows from these files at any instant, also when a process was killed between any
// two system calls: done > parked > lease > queued. Wall-clock times are written for people and
// never read back. One object is used by one thread.

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weft/run/lease.h"
#include "weft/run/schedule.h"

namespace weft {

struct QueueOptions {
  /// This rank group's name: no two that run at the same time share one. Empty: no speed and no
  /// failures are kept for it, it is never blocked.
  std::string worker;
  double lease_timeout = 60;  // seconds
  int max_attempts = 3;       // failed ones, then a job is parked
  int max_lost = 10;          // attempts that vanished without a word (killed, node gone)
  int block_after = 3;        // different jobs failed in a row, then a worker is blocked
  std::string host = {};      // "": this machine's name
};

struct QueueJob {
  std::string id;    // letters, digits, '.', '_', '-'; not starting with '.'; at most 128
  std::string text;  // of job.toml, not empty
  Priority priority = Priority::normal;
  double work = 0;  // floating-point operations
  int index = 0;    // place in the list
};

enum class JobState : std::uint8_t {
  queued,
  running,
  done,
  parked,
  stale  // its owner is gone; the next try_take() takes it over
};

struct JobView {
  std::string id;
  JobState state = JobState::queued;
  Priority priority = Priority::normal;
  double work = 0;
  int index = 0;
  int attempts = 0;                // failed ones that count
  int lost = 0;                    // vanished ones
  std::optional<LeaseInfo> lease;  // running and stale ones, where it can be read
  std::string last_error;          // empty when no attempt failed
};

struct WorkerView {
  struct Failure {
    std::string job;
    std::string token;  // of the attempt's lease
  };
  std::string name;
  std::string host;
  double speed = 0;               // floating-point operations per second; 0: not measured
  std::vector<Failure> failures;  // since its last success
  bool blocked = false;
};

class QueueFolder {
 public:
  /// Touches nothing. InputError: the worker's name cannot be a file's name.
  QueueFolder(std::filesystem::path folder, QueueOptions options);

  /// Adds what is not there yet; several runs may add the same list at once. InputError, all
  /// problems at once: bad ids, a job that is there with another text, a folder that cannot be
  /// written. Jobs without a problem are added all the same.
  void add(std::span<const QueueJob> jobs);

  /// Every job, by index, then id. Two lists of one object, the lease timeout apart, tell stale
  /// leases of other machines; one list those of this machine. Error: no queue there.
  std::vector<JobView> list();
  std::vector<WorkerView> workers() const;

  /// The job this worker should try to take now, by weft/run/schedule.h among those of `jobs` that
  /// are queued or stale; jobs it failed since its last success come after all others. Workers that
  /// count are this one and those that hold a running lease. None: nothing for it, or blocked.
  std::optional<std::string> choose(const std::vector<JobView>& jobs, JobOrder order,
                                    Balance balance) const;

  /// None: done, parked, held by another, no longer there, or this worker is blocked. A job whose
  /// attempts are used up is parked here if whoever failed it last could not. Error: the folder
  /// cannot be written, or is gone.
  std::optional<Lease> try_take(const std::string& id);

  /// To be called when every file of the job has its final name. False: the lease was lost or
  /// another run finished first, so that this result does not count. A success ends the worker's
  /// row of failures. Error: the marker could not be written (then the job stays to be done).
  bool finish(Lease lease);

  /// Notes a failed attempt; parks the job after max_attempts. A worker that failed block_after
  /// different jobs in a row is blocked and the attempts of that row are returned. False: the lease
  /// was lost, nothing is noted.
  bool fail(Lease lease, const std::string& error);

  /// Lets parked jobs be tried max_attempts times more. Gives how many there were.
  int retry_parked();
  /// Forgets the failures of blocked workers. Gives how many there were.
  int unblock_workers();

  /// Attempts at a job that failed and count, or vanished.
  [[nodiscard]] int attempts_at(const std::string& id) const;
  /// This worker, or its host: a host is blocked when two of its workers are and none of the others
  /// has finished a job.
  [[nodiscard]] bool blocked() const;
  [[nodiscard]] std::vector<std::string> blocked_hosts() const;
  void set_speed(double speed);  // this worker's

  /// For people: counts, who renders what, what is parked and why, what to do about it.
  std::string status_text();

  [[nodiscard]] std::filesystem::path job_folder(const std::string& id) const;

 private:
  struct Order {
    Priority priority = Priority::normal;
    double work = 0;
    int index = 0;
  };
  std::optional<Order> order_of(const std::string& id);
  std::optional<JobView> look(const std::string& id);
  void add_one(const QueueJob& job) const;
  bool park_when_used_up(const std::string& id) const;
  WorkerView worker_view(const std::string& name) const;
  void note_failure(const Lease& lease) const;
  void note_success() const;

  std::filesystem::path folder_;
  QueueOptions options_;
  LeaseWatch watch_;
  std::map<std::string, Order> orders_;  // never changes once a job is there
};

}  // namespace weft
