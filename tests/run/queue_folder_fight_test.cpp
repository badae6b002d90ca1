// Many processes share one queue; some are killed, some stopped.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/run/queue_folder.h"

#include "queue_folder_support.h"
#include "support/temp_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using test::exit_code;
using test::in_child;
using test::now_seconds;
using test::options;
using test::pause_for;
using test::some_jobs;
using test::timeout;

/// What a process believed: that it held `job` under `token` from before `from` to after `to`.
struct Belief {
  int job = 0;
  char token[33] = {};
  double from = 0;  // the lease had been taken
  double to = 0;    // a question that was answered yes began then
};

/// Takes whatever there is, holds each for some milliseconds, writes down what it believed.
int fighter(const fs::path& folder, int number, int jobs) {
  QueueOptions mine = options(fmt::format("w{}", number));
  mine.max_lost = 1000;
  QueueFolder queue(folder / "queue", mine);
  std::mt19937 random(static_cast<unsigned>(::getpid()));
  std::ofstream log(folder / fmt::format("log.{}", ::getpid()), std::ios::binary | std::ios::app);
  const double begin = now_seconds();
  while (now_seconds() - begin < 60) {
    const auto list = queue.list();
    const auto is_done = [](const JobView& job) { return job.state == JobState::done; };
    if (std::all_of(list.begin(), list.end(), is_done)) return 0;
    const int start = static_cast<int>(random() % static_cast<unsigned>(jobs));
    for (int i = 0; i < jobs; ++i) {
      Belief belief;
      belief.job = (start + i) % jobs;
      const std::string id = fmt::format("job-{}", belief.job);
      auto lease = queue.try_take(id);
      if (!lease) continue;
      belief.from = now_seconds();
      lease->info().token.copy(belief.token, 32);
      bool mine_still = true;
      for (int step = 0; step < 40 && mine_still; ++step) {
        const double asked = now_seconds();
        mine_still = lease->still_mine();
        if (mine_still) belief.to = asked;
        log.write(reinterpret_cast<const char*>(&belief), sizeof belief).flush();
        pause_for(0.005);
      }
      if (mine_still) queue.finish(std::move(*lease));
      pause_for(0.001);
    }
    pause_for(0.02);
  }
  return 1;
}

std::map<int, std::vector<Belief>> beliefs_in(const fs::path& folder) {
  std::map<std::string, Belief> last;  // by token
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind("log.", 0) != 0) continue;
    std::ifstream log(entry.path(), std::ios::binary);
    Belief belief;
    while (log.read(reinterpret_cast<char*>(&belief), sizeof belief)) last[belief.token] = belief;
  }
  std::map<int, std::vector<Belief>> by_job;
  for (const auto& [token, belief] : last) by_job[belief.job].push_back(belief);
  for (auto& [job, list] : by_job) {
    std::sort(list.begin(), list.end(),
              [](const Belief& a, const Belief& b) { return a.from < b.from; });
  }
  return by_job;
}

// Catches: leases taken by two (take-over by unlink, beats through the name), an owner that wakes
// up and goes on, a job lost when its owner is killed.
TEST(QueueFolder, ProcessesThatAreKilledAndStoppedDoEveryJobOnce) {
  const test::TempFolder folder;
  constexpr int jobs = 150;
  constexpr int processes = 6;
  QueueFolder queue(folder.path() / "queue", options("parent"));
  queue.add(some_jobs(jobs));
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    children.push_back(in_child([&, i] { return fighter(folder.path(), i, jobs); }));
  }
  std::mt19937 random(7);
  const double begin = now_seconds();
  int killed = 0;
  int stopped = 0;
  const auto all_done = [&] {
    const auto list = queue.list();
    return std::all_of(list.begin(), list.end(),
                       [](const JobView& job) { return job.state == JobState::done; });
  };
  for (int act = 0; act < 200 && !all_done(); ++act) {
    pause_for(0.05 + 0.1 * static_cast<double>(random() % 100) / 100);
    const std::size_t who = random() % processes;
    if (act % 2 == 0) {
      ::kill(children[who], SIGKILL);
      ::waitpid(children[who], nullptr, 0);
      const int number = static_cast<int>(who);
      children[who] = in_child([&] { return fighter(folder.path(), number, jobs); });
      ++killed;
    } else {
      ::kill(children[who], SIGSTOP);
      // Longer than the timeout every second time: its job is another's when it wakes up.
      pause_for(act % 4 == 1 ? 2 * timeout : 0.1);
      ::kill(children[who], SIGCONT);
      ++stopped;
    }
  }
  for (const pid_t child : children) EXPECT_EQ(exit_code(child), 0);
  int takings = 0;
  for (const auto& [job, list] : beliefs_in(folder.path())) {
    takings += static_cast<int>(list.size());
    for (std::size_t i = 1; i < list.size(); ++i) {
      EXPECT_LE(list[i - 1].to, list[i].from + timeout / 6) << "two owners of job " << job;
    }
  }
  for (const JobView& job : queue.list()) EXPECT_EQ(job.state, JobState::done) << job.id;
  EXPECT_GT(takings, jobs) << "nobody was killed or stopped while it held a job";
  fmt::print("{} jobs, {} killed, {} stopped, {} takings, {:.1f} s\n", jobs, killed, stopped,
             takings, now_seconds() - begin);
}

}  // namespace
}  // namespace weft
