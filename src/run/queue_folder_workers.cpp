// What is known about the rank groups that share a queue: speed and failures, each written by its
// own group only.
#include <algorithm>
#include <map>
#include <set>

#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/run/queue_folder.h"

#include "lease_file.h"
#include "queue_folder_files.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

void write_worker(const fs::path& folder, const WorkerView& worker) {
  std::error_code told_by_replace_file;
  fs::create_directories(folder / "workers", told_by_replace_file);
  replace_file(folder / "workers" / worker.name, format_worker(worker));
}

std::optional<std::string> pick(const std::vector<const JobView*>& jobs,
                                std::span<const Worker> workers, std::size_t me, JobOrder order,
                                Balance balance) {
  std::vector<Waiting> waiting;
  for (const JobView* job : jobs) waiting.push_back({job->work, job->priority, job->index});
  const auto chosen = next_job(waiting, workers, me, order, balance);
  return chosen ? std::optional(jobs[*chosen]->id) : std::nullopt;
}

}  // namespace

WorkerView QueueFolder::worker_view(const std::string& name) const {
  const std::optional<FileSeen> file = read_file(folder_ / "workers" / name);
  WorkerView worker = parse_worker(name, file ? file->content : "", options_.block_after);
  if (worker.host.empty()) worker.host = options_.host.empty() ? host_name() : options_.host;
  return worker;
}

std::vector<WorkerView> QueueFolder::workers() const {
  std::vector<WorkerView> workers;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder_ / "workers", none)) {
    const std::string name = entry.path().filename().string();
    const std::optional<FileSeen> file = read_file(entry.path());
    if (name.front() == '.' || !file || file->content.rfind("weft-worker 1\n", 0) != 0) continue;
    workers.push_back(parse_worker(name, file->content, options_.block_after));
  }
  std::sort(workers.begin(), workers.end(),
            [](const WorkerView& a, const WorkerView& b) { return a.name < b.name; });
  return workers;
}

std::vector<std::string> QueueFolder::blocked_hosts() const {
  constexpr int enough = 2;  // one may have a broken GPU of its own
  std::map<std::string, int> blocked;
  std::set<std::string> sound;
  for (const WorkerView& worker : workers()) {
    if (worker.blocked) {
      ++blocked[worker.host];
    } else if (worker.speed > 0) {
      sound.insert(worker.host);
    }
  }
  std::vector<std::string> hosts;
  for (const auto& [host, count] : blocked) {
    if (count >= enough && !sound.contains(host)) hosts.push_back(host);
  }
  return hosts;
}

bool QueueFolder::blocked() const {
  if (options_.worker.empty()) return false;
  const WorkerView me = worker_view(options_.worker);
  return me.blocked || std::ranges::count(blocked_hosts(), me.host) > 0;
}

void QueueFolder::set_speed(double speed) {
  if (options_.worker.empty()) return;
  WorkerView me = worker_view(options_.worker);
  me.speed = speed;
  write_worker(folder_, me);
}

void QueueFolder::note_success() const {
  if (options_.worker.empty()) return;
  WorkerView me = worker_view(options_.worker);
  if (me.failures.empty()) return;
  me.failures.clear();
  write_worker(folder_, me);
}

void QueueFolder::note_failure(const Lease& lease) const {
  if (options_.worker.empty()) return;
  WorkerView me = worker_view(options_.worker);
  me.failures.push_back({lease.folder().filename().string(), lease.info().token});
  me = parse_worker(me.name, format_worker(me), options_.block_after);
  // Attempts first: killed in between, the worker fails once more and is blocked then.
  for (const auto& failure : me.failures) {
    const fs::path folder = job_folder(failure.job);
    if (!me.blocked || !file_exists(folder)) continue;
    create_exclusively(returned_path(folder, failure.token), me.name + "\n");
    if (count_attempts(folder).failed < options_.max_attempts) remove_file(folder / "parked");
  }
  write_worker(folder_, me);
  if (me.blocked) {
    log_error("worker {} failed {} jobs in a row and takes no more", me.name, me.failures.size());
  }
}

int QueueFolder::unblock_workers() {
  int unblocked = 0;
  for (WorkerView worker : workers()) {
    if (!worker.blocked) continue;
    worker.failures.clear();
    write_worker(folder_, worker);
    ++unblocked;
  }
  return unblocked;
}

std::optional<std::string> QueueFolder::choose(const std::vector<JobView>& jobs, JobOrder order,
                                               Balance balance) const {
  if (blocked()) return std::nullopt;
  const WorkerView own = options_.worker.empty() ? WorkerView{} : worker_view(options_.worker);
  std::map<std::string, Worker> by_name;  // the same order for everybody
  for (const WorkerView& worker : workers()) by_name[worker.name].speed = worker.speed;
  std::map<std::string, Worker> present;
  for (const JobView& job : jobs) {
    if (job.state != JobState::running || !job.lease) continue;
    Worker worker = by_name[job.lease->worker];
    const double eta = job.lease->status.eta_seconds;
    const double whole = worker.speed > 0 ? job.work / worker.speed : 0;
    worker.busy_seconds = eta >= 0 ? eta : whole;
    present[job.lease->worker] = worker;
  }
  present[options_.worker] = {.speed = own.speed, .busy_seconds = 0};

  std::vector<Worker> workers;
  std::size_t me = 0;
  for (const auto& [name, worker] : present) {
    if (name == options_.worker) me = workers.size();
    workers.push_back(worker);
  }
  std::vector<const JobView*> fresh;
  std::vector<const JobView*> failed_here;
  for (const JobView& job : jobs) {
    if (job.state != JobState::queued && job.state != JobState::stale) continue;
    const bool failed = std::any_of(own.failures.begin(), own.failures.end(),
                                    [&](const auto& f) { return f.job == job.id; });
    (failed ? failed_here : fresh).push_back(&job);
  }
  return pick(fresh.empty() ? failed_here : fresh, workers, me, order, balance);
}

}  // namespace weft
