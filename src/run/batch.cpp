// From a list of jobs to their clips: checks, the queue, a worker on every rank, the closing lines.
#include "weft/run/batch.h"

#include <cstdio>
#include <random>

#include "weft/base/log.h"
#include "weft/run/queue_folder.h"
#include "weft/run/stop_request.h"

#include "batch_check.h"
#include "batch_worker.h"

namespace weft {
namespace {

constexpr std::size_t most_shown = 50;  // jobs of a dry run

int group_size(const BatchOptions& options, const Communicator& world, Problems& problems) {
  const int wanted = options.ranks_per_job > 0 ? options.ranks_per_job : world.size();
  if (wanted <= world.size() && world.size() % wanted == 0) return wanted;
  problems.add("ranks-per-job: {} ranks cannot be divided into groups of {}: expected a divisor",
               world.size(), wanted);
  return world.size();
}

/// "node7-4711-3f2a-g0": no two groups that run at the same time share one.
std::string worker_name(const Session& session, const Communicator& world, int group) {
  std::string token = fmt::format("{:04x}", std::random_device{}() & 0xFFFFU);
  if (const char* job = std::getenv("SLURM_JOB_ID"); job != nullptr) {
    token = fmt::format("{}-{}", job, token);
  }
  world.broadcast_string(token, 0);
  std::string name = fmt::format("{}-{}-g{}", session.host().substr(0, 60), token, group);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '-') c = '_';
  }
  return name;
}

/// Rank 0 puts the jobs into the folder. Every rank throws when that is not possible.
void fill_folder(std::span<const QueueJob> jobs, const BatchOptions& options,
                 const Communicator& world) {
  Problems problems;
  if (world.rank() == 0) {
    QueueFolder folder(
        options.folder,
        {.worker = {}, .lease_timeout = options.lease_timeout, .max_attempts = options.attempts});
    if (jobs.empty() && !std::filesystem::is_directory(options.folder / "jobs")) {
      problems.add("{} is not the folder of a batch: name a list of jobs to begin one",
                   options.folder.string());
    } else {
      problems.collect([&] {
        if (!jobs.empty()) folder.add(jobs);
        if (!options.retry_parked) return;
        log_info("{} parked jobs are tried again", folder.retry_parked());
        folder.unblock_workers();
      });
    }
  }
  throw_if_any_rank_has_problems(world, problems);
}

void print_summary(const BatchEnd& end, double done, double failed, double job_seconds, double wall,
                   const BatchOptions& options) {
  std::string text = fmt::format("\n{} of {} jobs are done, {:.0f} of them here in {:.1f} s",
                                 end.done, end.jobs, done, wall);
  if (done > 0) {
    text += fmt::format(": {:.1f} s per job, {:.0f} clips per hour", job_seconds / done,
                        3600 * done / wall);
  }
  if (failed > 0) text += fmt::format("; {:.0f} attempts failed", failed);
  std::puts(text.c_str());
  if (end.exit_code == 75) {
    std::puts("told to stop: run the same command again to go on");
  } else if (end.exit_code != 0) {
    QueueFolder folder(options.folder, {.worker = {}, .lease_timeout = options.lease_timeout});
    std::fputs(folder.status_text().c_str(), stdout);
  }
  std::fflush(stdout);
}

/// What lies in the folder now.
BatchEnd look_at_end(const BatchOptions& options, bool stopped) {
  QueueFolder folder(options.folder, {.worker = {}, .lease_timeout = options.lease_timeout});
  BatchEnd end;
  for (const JobView& job : folder.list()) {
    ++end.jobs;
    if (job.state == JobState::done) ++end.done;
    if (job.state == JobState::parked) ++end.parked;
  }
  end.exit_code = end.done == end.jobs ? 0 : stopped ? stopped_exit_code : 1;
  return end;
}

}  // namespace

void check_batch(const std::vector<ListedJob>& jobs, const BatchOptions& options,
                 const Problems& found, const Communicator& world, const Session& session) {
  Problems problems = found;
  const int ranks = group_size(options, world, problems);
  const auto checked = check_jobs(jobs, options, problems, ranks, world, session);
  if (world.rank() != 0) return;
  double work = 0;
  for (std::size_t i = 0; i < checked.size(); ++i) {
    const QueueJob& job = checked[i];
    work += job.work;
    if (i < most_shown) {
      std::puts(fmt::format("{:>12.4g} TFLOP  {}", job.work / 1e12, job.id).c_str());
    } else if (i == most_shown) {
      std::puts(fmt::format("... and {} more", checked.size() - most_shown).c_str());
    }
  }
  std::puts(fmt::format("{} jobs, {:.4g} TFLOP, on {} group{} of {} rank{}; nothing was written",
                        checked.size(), work / 1e12, world.size() / ranks,
                        world.size() == ranks ? "" : "s", ranks, ranks == 1 ? "" : "s")
                .c_str());
}

BatchEnd run_batch(const std::vector<ListedJob>& jobs, const BatchOptions& options,
                   const Problems& found, const Communicator& world, const Session& session) {
  const double begin = now_seconds();
  Problems problems = found;
  const int ranks = group_size(options, world, problems);
  fill_folder(check_jobs(jobs, options, problems, ranks, world, session), options, world);

  const int group_index = world.rank() / ranks;
  const Communicator group = world.split(group_index);
  GroupTally tally;
  {
    BatchWorker worker(options, worker_name(session, world, group_index), group, session,
                       ranks == world.size());
    tally = worker.run();
  }
  const double done = world.sum(tally.done), failed = world.sum(tally.failed);
  const double job_seconds = world.sum(tally.job_seconds);
  const bool stopped = world.max(tally.stopped ? 1 : 0) > 0;
  std::array<int, 4> told{};
  if (world.rank() == 0) {
    const BatchEnd end = look_at_end(options, stopped);
    told = {end.exit_code, end.jobs, end.done, end.parked};
    print_summary(end, done, failed, job_seconds, now_seconds() - begin, options);
  }
  world.broadcast(std::as_writable_bytes(std::span(told)), 0);
  return {.exit_code = told[0], .jobs = told[1], .done = told[2], .parked = told[3]};
}

}  // namespace weft
