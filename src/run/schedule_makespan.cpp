// Takes jobs and workers, plays the policy through event by event, gives the time it takes.
#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "weft/base/error.h"
#include "weft/run/schedule.h"

#include "schedule_speeds.h"

namespace weft {

double makespan(std::span<const Waiting> jobs, std::span<const Worker> workers, JobOrder order,
                Balance balance) {
  WEFT_ASSERT(!workers.empty(), "no workers");
  const std::vector<double> speeds = known_speeds(workers);
  std::vector<Waiting> waiting(jobs.begin(), jobs.end());
  std::vector<Worker> now(workers.begin(), workers.end());
  double time = 0;
  double end = 0;
  while (!waiting.empty()) {
    double soonest = std::numeric_limits<double>::infinity();  // seconds until a worker is free
    for (std::size_t me = 0; me < now.size(); ++me) {
      if (now[me].busy_seconds <= 0) {
        const auto job = next_job(waiting, now, me, order, balance);
        if (!job) continue;
        now[me].busy_seconds = waiting[*job].work / speeds[me];
        end = std::max(end, time + now[me].busy_seconds);
        waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(*job));
      }
      soonest = std::min(soonest, now[me].busy_seconds);
    }
    if (waiting.empty()) break;
    WEFT_ASSERT(soonest < std::numeric_limits<double>::infinity(),
                "{} jobs wait and every worker is idle", waiting.size());
    for (Worker& worker : now) worker.busy_seconds -= soonest;
    time += soonest;
  }
  return end;
}

double makespan_bound(std::span<const Waiting> jobs, std::span<const Worker> workers) {
  std::vector<double> speeds = known_speeds(workers);
  std::vector<double> work;
  for (const Waiting& job : jobs) work.push_back(job.work);
  std::sort(speeds.begin(), speeds.end(), std::greater<>());
  std::sort(work.begin(), work.end(), std::greater<>());
  double bound = 0;
  double work_sum = 0;
  double speed_sum = 0;
  for (std::size_t k = 0; k < std::min(work.size(), speeds.size()); ++k) {
    work_sum += work[k];
    speed_sum += speeds[k];
    bound = std::max(bound, work_sum / speed_sum);
  }
  const double all_work = std::accumulate(work.begin(), work.end(), 0.0);
  const double all_speed = std::accumulate(speeds.begin(), speeds.end(), 0.0);
  return std::max(bound, all_work / all_speed);
}

}  // namespace weft
