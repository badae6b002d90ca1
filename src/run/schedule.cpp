#include "weft/run/schedule.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <vector>

#include "weft/base/error.h"

#include "schedule_speeds.h"

namespace weft {
namespace {

bool comes_before(const Waiting& a, const Waiting& b, JobOrder order) {
  switch (order) {
    case JobOrder::fifo:
      break;
    case JobOrder::priority:
      return std::tie(a.priority, a.index) < std::tie(b.priority, b.index);
    case JobOrder::shortest:
      return std::tie(a.work, a.index) < std::tie(b.work, b.index);
    case JobOrder::largest:
      return std::tie(b.work, a.index) < std::tie(a.work, b.index);
  }
  return a.index < b.index;
}

/// The first in the order of those that `mine` accepts.
template <class Mine>
std::optional<std::size_t> first_of(std::span<const Waiting> waiting, JobOrder order, Mine&& mine) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (!mine(waiting[i])) continue;
    if (!best || comes_before(waiting[i], waiting[*best], order)) best = i;
  }
  return best;
}

std::optional<std::size_t> first_planned(std::span<const Waiting> waiting,
                                         std::span<const Worker> workers, std::size_t me,
                                         JobOrder order) {
  const std::vector<double> speeds = known_speeds(workers);
  std::vector<double> free_at;  // seconds from now
  for (const Worker& worker : workers) free_at.push_back(std::max(worker.busy_seconds, 0.0));
  free_at[me] = 0;

  std::vector<std::size_t> sorted(waiting.size());
  std::iota(sorted.begin(), sorted.end(), std::size_t{0});
  std::stable_sort(sorted.begin(), sorted.end(), [&](std::size_t a, std::size_t b) {
    return comes_before(waiting[a], waiting[b], order);
  });
  for (const std::size_t job : sorted) {
    std::size_t first = 0;
    double first_end = 0;
    for (std::size_t w = 0; w < workers.size(); ++w) {
      const double end = free_at[w] + waiting[job].work / speeds[w];
      // Of equals the one that is free sooner: two idle workers never leave a job to each other.
      const bool better = end < first_end || (end == first_end && free_at[w] < free_at[first]);
      if (w == 0 || better) {
        first = w;
        first_end = end;
      }
    }
    if (first == me) return job;
    free_at[first] = first_end;
  }
  return std::nullopt;
}

}  // namespace

std::vector<double> known_speeds(std::span<const Worker> workers) {
  double sum = 0;
  std::size_t known = 0;
  for (const Worker& worker : workers) {
    if (worker.speed <= 0) continue;
    sum += worker.speed;
    ++known;
  }
  const double mean = known == 0 ? 1.0 : sum / static_cast<double>(known);
  std::vector<double> speeds;
  for (const Worker& worker : workers) speeds.push_back(worker.speed > 0 ? worker.speed : mean);
  return speeds;
}

std::optional<std::size_t> next_job(std::span<const Waiting> waiting,
                                    std::span<const Worker> workers, std::size_t me, JobOrder order,
                                    Balance balance) {
  WEFT_ASSERT(me < workers.size(), "worker {} of {}", me, workers.size());
  switch (balance) {
    case Balance::round_robin:
      return first_of(waiting, order, [&](const Waiting& job) {
        return static_cast<std::size_t>(job.index) % workers.size() == me;
      });
    case Balance::least_loaded:
      break;
    case Balance::measured:
      return first_planned(waiting, workers, me, order);
  }
  return first_of(waiting, order, [](const Waiting&) { return true; });
}

}  // namespace weft
