// Jobs on their way from queued to done or parked. What each file means: weft/run/queue_folder.h.
#include "weft/run/queue_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>

#include "weft/base/error.h"
#include "weft/base/log.h"

#include "lease_file.h"
#include "queue_folder_files.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

/// What takers and finishers that were killed left behind.
void remove_leftovers(const fs::path& job_folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(job_folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(".lease.", 0) == 0 || name.rfind(".done.", 0) == 0) {
      fs::remove(entry.path(), ignored);
    }
  }
}

std::string describe_loss(const LeaseInfo& owner) {
  if (owner.token.empty()) return "the lease was not readable";
  return fmt::format("process {} on {} stopped without a word at {}, step {} of {}", owner.pid,
                     owner.host, owner.status.state.empty() ? "its start" : owner.status.state,
                     owner.status.step, owner.status.steps);
}

}  // namespace

QueueFolder::QueueFolder(fs::path folder, QueueOptions options)
    : folder_(std::move(folder)), options_(std::move(options)), watch_(options_.lease_timeout) {
  if (options_.worker.empty()) return;
  const std::string rule = name_rule(options_.worker);
  if (!rule.empty()) fail_input("the worker's name '{}' {}", options_.worker, rule);
}

fs::path QueueFolder::job_folder(const std::string& id) const { return folder_ / "jobs" / id; }

// ---- looking
// -------------------------------------------------------------------------------------

std::optional<JobView> QueueFolder::look(const std::string& id) {
  const std::optional<Order> order = order_of(id);
  if (!order) return std::nullopt;
  JobView view;
  view.id = id;
  view.priority = order->priority;
  view.work = order->work;
  view.index = order->index;
  const fs::path folder = job_folder(id);
  const fs::path done = folder / "done";
  if (file_exists(done)) {
    view.state = JobState::done;
    return view;
  }
  LeaseLook lease = watch_.look(folder);
  // Who finishes makes the marker, then gives up the lease; both may have happened in between.
  if (!lease.exists && file_exists(done)) {
    view.state = JobState::done;
    return view;
  }
  AttemptCount count = count_attempts(folder);
  view.attempts = count.failed;
  view.lost = count.lost;
  view.last_error = std::move(count.last_error);
  if (auto parked = read_file(folder / "parked")) {
    view.state = JobState::parked;
    if (!parked->content.empty()) view.last_error = std::move(parked->content);
  } else if (lease.exists) {
    view.state = lease.stale ? JobState::stale : JobState::running;
    view.lease = std::move(lease.info);
  }
  return view;
}

std::vector<JobView> QueueFolder::list() {
  std::error_code error;
  fs::directory_iterator entry(folder_ / "jobs", error);
  if (error) {
    weft::fail("{} is not a queue: its folder jobs cannot be read ({})", folder_.string(),
               error.message());
  }
  std::vector<JobView> jobs;
  for (; entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string id = entry->path().filename().string();
    if (id.front() == '.') continue;  // not whole yet
    if (auto view = look(id)) jobs.push_back(std::move(*view));
    if (error) break;
  }
  if (error) weft::fail("{}: reading the folder jobs: {}", folder_.string(), error.message());
  std::sort(jobs.begin(), jobs.end(), [](const JobView& a, const JobView& b) {
    return a.index != b.index ? a.index < b.index : a.id < b.id;
  });
  return jobs;
}

// ---- taking
// --------------------------------------------------------------------------------------

int QueueFolder::attempts_at(const std::string& id) const {
  const AttemptCount count = count_attempts(job_folder(id));
  return count.failed + count.lost;
}

bool QueueFolder::park_when_used_up(const std::string& id) const {
  const fs::path folder = job_folder(id);
  const AttemptCount count = count_attempts(folder);
  if (count.failed < options_.max_attempts && count.lost < options_.max_lost) return false;
  replace_file(folder / "parked", count.last_error);
  return true;
}

std::optional<Lease> QueueFolder::try_take(const std::string& id) {
  const fs::path folder = job_folder(id);
  if (!file_exists(folder)) {
    if (file_exists(folder_ / "jobs")) return std::nullopt;  // this job alone was removed
    weft::fail("the queue {} is gone: it has no folder jobs", folder_.string());
  }
  const auto ended = [&] { return file_exists(folder / "done") || file_exists(folder / "parked"); };
  if (ended() || blocked()) return std::nullopt;
  std::optional<Lease> lease = Lease::try_take(folder, watch_, options_.worker);
  if (!lease) return std::nullopt;
  // Asked again now that nobody else can end it: it may have been ended since the first time.
  if (ended()) return std::nullopt;
  if (const auto& owner = lease->taken_from()) {
    append_attempt(folder, {AttemptKind::lost, owner->token, describe_loss(*owner)}, owner->worker);
  }
  if (park_when_used_up(id)) return std::nullopt;
  return lease;
}

// ---- ending
// --------------------------------------------------------------------------------------

bool QueueFolder::finish(Lease lease) {
  if (!lease.still_mine()) return false;
  const fs::path folder = lease.folder();
  // Created exclusively: an owner that was stopped after the question above and wakes up when
  // another has finished changes nothing.
  const std::string text =
      fmt::format("{}\t{}\t{}\t{}\n", utc_now(), host_name(), options_.worker, lease.info().token);
  if (!create_exclusively(folder / "done", text)) return false;
  sync_folder(folder);
  try {
    note_success();
  } catch (const Error& e) {
    log_warn("{}: {}", folder.string(), e.what());  // the job is done all the same
  }
  lease.release();
  remove_leftovers(folder);
  return true;
}

bool QueueFolder::fail(Lease lease, const std::string& error) {
  if (!lease.still_mine()) return false;
  const fs::path folder = lease.folder();
  append_attempt(folder, {AttemptKind::failed, lease.info().token, error}, options_.worker);
  note_failure(lease);
  park_when_used_up(folder.filename().string());
  return true;
}

int QueueFolder::retry_parked() {
  int parked = 0;
  for (const JobView& job : list()) {
    if (job.state != JobState::parked) continue;
    const fs::path folder = job_folder(job.id);
    // In this order: killed in between, the job is parked still and can be retried again.
    append_attempt(folder, {AttemptKind::retry, "-", "retried on request"}, options_.worker);
    remove_file(folder / "parked");
    ++parked;
  }
  return parked;
}

}  // namespace weft
