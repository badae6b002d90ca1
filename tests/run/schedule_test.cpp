#include "weft/run/schedule.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "weft/base/error.h"

namespace weft {
namespace {

constexpr JobOrder orders[] = {JobOrder::fifo, JobOrder::priority, JobOrder::shortest,
                               JobOrder::largest};
constexpr Balance balances[] = {Balance::round_robin, Balance::least_loaded, Balance::measured};

std::vector<Waiting> random_jobs(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> work(1, 30);
  std::vector<Waiting> jobs;
  for (int i = 0; i < count; ++i) {
    jobs.push_back({work(random), static_cast<Priority>(random() % 3), i});
  }
  return jobs;
}

std::vector<Worker> random_workers(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> speed(1, 4);
  std::vector<Worker> workers;
  for (int i = 0; i < count; ++i) workers.push_back({speed(random), 0});
  return workers;
}

int taken(const std::vector<Waiting>& waiting, JobOrder order) {
  const std::vector<Worker> one = {{1, 0}};
  const auto job = next_job(waiting, one, 0, order, Balance::least_loaded);
  return job ? waiting[*job].index : -1;
}

// Catches: a comparison the wrong way round, an order that ignores its key.
TEST(Schedule, EveryOrderTakesWhatItSays) {
  const std::vector<Waiting> waiting = {{5, Priority::low, 3},
                                        {9, Priority::normal, 1},
                                        {1, Priority::normal, 2},
                                        {4, Priority::high, 7}};
  EXPECT_EQ(taken(waiting, JobOrder::fifo), 1);
  EXPECT_EQ(taken(waiting, JobOrder::priority), 7);
  EXPECT_EQ(taken(waiting, JobOrder::shortest), 2);
  EXPECT_EQ(taken(waiting, JobOrder::largest), 1);
  EXPECT_EQ(taken({}, JobOrder::fifo), -1);
}

// Catches: ties that depend on where a job happens to stand in the folder's listing.
TEST(Schedule, EqualJobsGoByIndex) {
  const std::vector<Waiting> waiting = {{2, Priority::low, 9}, {2, Priority::low, 4}};
  for (const JobOrder order : orders) EXPECT_EQ(taken(waiting, order), 4);
}

// Catches: a job nobody takes (the simulation would stop with an assertion) or one given twice (it
// would take longer than all jobs on one worker), for workers that start busy or unmeasured too.
TEST(Schedule, EveryPolicyEndsBetweenTheBounds) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const std::vector<Waiting> jobs = random_jobs(60, seed);
    std::vector<Worker> workers = random_workers(1 + static_cast<int>(seed), seed);
    if (seed % 3 == 1 && seed > 1) workers[0].speed = 0;  // the mean of the others
    const double bound = makespan_bound(jobs, workers);
    for (const JobOrder order : orders) {
      for (const Balance balance : balances) {
        const double time = makespan(jobs, workers, order, balance);
        EXPECT_GE(time, bound * (1 - 1e-12));
        double all = 0;
        for (const Waiting& job : jobs) all += job.work;
        EXPECT_LE(time, all * (1 + 1e-12));  // the slowest has speed 1
      }
    }
  }
}

// Every job is given to exactly one worker, by workers who ask one after the other.
TEST(Schedule, EveryJobIsGivenOnce) {
  for (const JobOrder order : orders) {
    for (const Balance balance : balances) {
      std::vector<Waiting> waiting = random_jobs(40, 5);
      std::vector<Worker> workers = random_workers(5, 6);
      std::set<int> given;
      for (int round = 0; round < 1000 && !waiting.empty(); ++round) {
        for (std::size_t me = 0; me < workers.size(); ++me) {
          if (workers[me].busy_seconds > 0) continue;
          const auto job = next_job(waiting, workers, me, order, balance);
          if (!job) continue;
          EXPECT_TRUE(given.insert(waiting[*job].index).second);
          workers[me].busy_seconds = waiting[*job].work / workers[me].speed;
          waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(*job));
        }
        for (Worker& worker : workers) worker.busy_seconds -= 1;
      }
      EXPECT_EQ(given.size(), 40U);
    }
  }
}

// Catches: `measured` that ignores speeds, or that counts a busy worker as free.
TEST(Schedule, MeasuredAndLargestBeatsTheOthersWhereSpeedsDiffer) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    const std::vector<Waiting> jobs = random_jobs(200, seed);
    const std::vector<Worker> workers = random_workers(8, seed + 100);
    const double best = makespan(jobs, workers, JobOrder::largest, Balance::measured);
    for (const JobOrder order : orders) {
      EXPECT_LT(best, 0.9 * makespan(jobs, workers, order, Balance::round_robin));
      EXPECT_LE(best, 1.001 * makespan(jobs, workers, order, Balance::least_loaded));
    }
    EXPECT_LT(best, 1.02 * makespan_bound(jobs, workers));
  }
}

// One job left, the fast worker busy for 1 s: 1 + 10/10 s there, 10 s here.
TEST(Schedule, AJobIsLeftToAFasterWorkerThatIsBusy) {
  const std::vector<Waiting> last = {{10, Priority::normal, 0}};
  const std::vector<Worker> workers = {{1, 0}, {10, 1}};
  EXPECT_FALSE(next_job(last, workers, 0, JobOrder::fifo, Balance::measured));
  EXPECT_TRUE(next_job(last, workers, 0, JobOrder::fifo, Balance::least_loaded));
  const std::vector<Worker> busy_for_long = {{1, 0}, {10, 20}};
  EXPECT_TRUE(next_job(last, busy_for_long, 0, JobOrder::fifo, Balance::measured));
}

// Catches: idle workers that wait for each other for ever; equal ones included.
TEST(Schedule, SomebodyAlwaysTakesAJobWhenAllAreIdle) {
  for (int count = 1; count < 6; ++count) {
    for (const bool equal : {true, false}) {
      std::vector<Worker> workers = random_workers(count, 3);
      if (equal) std::fill(workers.begin(), workers.end(), Worker{2, 0});
      const std::vector<Waiting> last = {{7, Priority::low, 12}};
      for (const JobOrder order : orders) {
        for (const Balance balance : balances) {
          int takers = 0;
          for (std::size_t me = 0; me < workers.size(); ++me) {
            takers += next_job(last, workers, me, order, balance) ? 1 : 0;
          }
          EXPECT_EQ(takers, balance == Balance::least_loaded ? count : 1);
        }
      }
    }
  }
}

// Low priority waits while others are there and is given out at the end all the same.
TEST(Schedule, LowPriorityComesLastButComes) {
  std::vector<Waiting> waiting = random_jobs(30, 9);
  const std::vector<Worker> one = {{1, 0}};
  std::vector<Priority> given;
  while (!waiting.empty()) {
    const auto job = next_job(waiting, one, 0, JobOrder::priority, Balance::measured);
    ASSERT_TRUE(job);
    given.push_back(waiting[*job].priority);
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(*job));
  }
  EXPECT_TRUE(std::is_sorted(given.begin(), given.end()));
  EXPECT_EQ(given.back(), Priority::low);
}

// A worker that was never measured counts as an average one, not as infinitely slow or fast.
TEST(Schedule, AnUnknownSpeedIsTheMeanOfTheKnown) {
  const std::vector<Waiting> jobs = random_jobs(50, 1);
  const std::vector<Worker> unknown = {{2, 0}, {0, 0}, {4, 0}};
  const std::vector<Worker> mean = {{2, 0}, {3, 0}, {4, 0}};
  for (const Balance balance : balances) {
    EXPECT_EQ(makespan(jobs, unknown, JobOrder::largest, balance),
              makespan(jobs, mean, JobOrder::largest, balance));
  }
}

TEST(Schedule, AWorkerThatDoesNotExistIsABug) {
  const std::vector<Worker> one = {{1, 0}};
  EXPECT_ANY_THROW(next_job({}, one, 1, JobOrder::fifo, Balance::measured));
}

}  // namespace
}  // namespace weft
