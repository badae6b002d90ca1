// Makespan of every policy against the lower bound: 500 jobs whose work differs by a factor of 30,
// workers whose speeds differ by a factor of 1 to 4. Simulated; prints the same table everywhere.
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "weft/run/schedule.h"

namespace {

/// In [0, 1), from a linear congruential sequence: the same on every machine.
class Sequence {
 public:
  double next() {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<double>(state_ >> 11U) / 9007199254740992.0;
  }

 private:
  std::uint64_t state_ = 1;
};

constexpr int job_count = 500;

std::vector<weft::Waiting> unequal_jobs(Sequence& sequence) {
  std::vector<weft::Waiting> jobs;
  for (int i = 0; i < job_count; ++i) {
    const double work = 1e16 * std::pow(30.0, sequence.next());
    jobs.push_back({.work = work, .priority = weft::Priority::normal, .index = i});
  }
  return jobs;
}

std::vector<weft::Worker> unequal_workers(int count, Sequence& sequence) {
  std::vector<weft::Worker> workers;
  for (int i = 0; i < count; ++i) {
    workers.push_back({.speed = 1e14 * std::pow(4.0, sequence.next()), .busy_seconds = 0});
  }
  return workers;
}

}  // namespace

int main() {
  struct Order {
    weft::JobOrder order;
    const char* name;
  };
  struct Balancing {
    weft::Balance balance;
    const char* name;
  };
  constexpr std::array orders = {Order{weft::JobOrder::fifo, "fifo"},
                                 Order{weft::JobOrder::shortest, "shortest"},
                                 Order{weft::JobOrder::largest, "largest"}};
  constexpr std::array balances = {Balancing{weft::Balance::round_robin, "round_robin"},
                                   Balancing{weft::Balance::least_loaded, "least_loaded"},
                                   Balancing{weft::Balance::measured, "measured"}};
  Sequence sequence;
  const std::vector<weft::Waiting> jobs = unequal_jobs(sequence);
  fmt::print("| workers | bound, s |");
  for (const Balancing& b : balances) {
    for (const Order& o : orders) fmt::print(" {} {} |", b.name, o.name);
  }
  fmt::print("\n|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const int count : {1, 2, 4, 8, 16, 64}) {
    const std::vector<weft::Worker> workers = unequal_workers(count, sequence);
    const double bound = weft::makespan_bound(jobs, workers);
    fmt::print("| {} | {:.0f} |", count, bound);
    for (const Balancing& b : balances) {
      for (const Order& o : orders) {
        fmt::print(" {:.3f} |", weft::makespan(jobs, workers, o.order, b.balance) / bound);
      }
    }
    fmt::print("\n");
  }
  fmt::print("\nFigures are makespan / bound (1 cannot be beaten).\n");
  return 0;
}
