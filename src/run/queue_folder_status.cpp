// The queue's state in words, for people.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "weft/run/queue_folder.h"

#include "queue_folder_files.h"

namespace weft {
namespace {

constexpr std::size_t longest_shown_error = 300;

std::string duration_text(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

std::string owner_text(const std::optional<LeaseInfo>& lease) {
  if (!lease) return "a lease that cannot be read";
  std::string text = lease->host;
  if (!lease->worker.empty()) text += ", " + lease->worker;
  text += fmt::format(", process {}", lease->pid);
  if (!lease->slurm_job.empty()) {
    text += ", Slurm job " + lease->slurm_job;
    if (!lease->slurm_task.empty()) text += "_" + lease->slurm_task;
  }
  return text;
}

std::string progress_text(const std::optional<LeaseInfo>& lease) {
  if (!lease) return "";
  const LeaseStatus& status = lease->status;
  std::string text;
  if (!status.state.empty()) text += ": " + status.state;
  if (status.steps > 0) text += fmt::format(", step {} of {}", status.step, status.steps);
  if (status.eta_seconds >= 0) text += ", " + duration_text(status.eta_seconds) + " left";
  return text;
}

}  // namespace

std::string QueueFolder::status_text() {
  const std::vector<JobView> jobs = list();
  const auto of = [&](JobState state) {
    std::vector<const JobView*> found;
    for (const JobView& job : jobs) {
      if (job.state == state) found.push_back(&job);
    }
    return found;
  };
  const auto stale = of(JobState::stale);
  const auto parked = of(JobState::parked);
  const auto running = of(JobState::running);
  std::string text =
      fmt::format("{}: {} jobs: {} done, {} running, {} queued, {} parked\n", folder_.string(),
                  jobs.size(), of(JobState::done).size(), running.size(),
                  of(JobState::queued).size() + stale.size(), parked.size());
  for (const JobView* job : running) {
    text += fmt::format("  running  {}  on {}{}\n", job->id, owner_text(job->lease),
                        progress_text(job->lease));
  }
  for (const JobView* job : stale) {
    text += fmt::format("  stopped  {}  was on {}{}; the next free worker carries on\n", job->id,
                        owner_text(job->lease), progress_text(job->lease));
  }
  for (const JobView* job : parked) {
    text += fmt::format("  parked   {}  after {} failed and {} vanished attempts: {}\n", job->id,
                        job->attempts, job->lost, one_line(job->last_error, longest_shown_error));
  }
  if (!parked.empty()) {
    text += "Parked jobs are left alone. Mend the cause, then run again with --retry-parked.\n";
  }
  for (const WorkerView& worker : workers()) {
    if (!worker.blocked) continue;
    text += fmt::format(
        "  blocked  worker {} failed {} jobs in a row, so the fault is probably its own: check "
        "that machine, then remove {} to let it work again\n",
        worker.name, worker.failures.size(), (folder_ / "workers" / worker.name).string());
  }
  for (const std::string& host : blocked_hosts()) {
    text += fmt::format(
        "  blocked  host {}: several of its workers are, so no other takes jobs there: check it, "
        "then "
        "run again with --retry-parked\n",
        host);
  }
  return text;
}

}  // namespace weft
