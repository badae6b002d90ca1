#include "weft/run/queue_folder.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/base/error.h"

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
using test::put;
using test::some_jobs;
using test::timeout;

JobState state_of(QueueFolder& queue, const std::string& id) {
  for (const JobView& job : queue.list()) {
    if (job.id == id) return job.state;
  }
  ADD_FAILURE() << "no job " << id;
  return JobState::queued;
}

void fail_once(QueueFolder& queue, const std::string& id, const std::string& error = "no memory") {
  auto lease = queue.try_take(id);
  ASSERT_TRUE(lease) << id;
  EXPECT_TRUE(queue.fail(std::move(*lease), error));
}

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(QueueFolder, FromQueuedToDone) {
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("a"));
  queue.add(some_jobs(3));
  auto jobs = queue.list();
  ASSERT_EQ(jobs.size(), 3U);
  EXPECT_EQ(jobs[1].id, "job-1");
  EXPECT_EQ(jobs[1].state, JobState::queued);
  EXPECT_EQ(jobs[1].work, 1e15);
  auto lease = queue.try_take("job-1");
  ASSERT_TRUE(lease);
  EXPECT_FALSE(QueueFolder(folder.path(), options("b")).try_take("job-1"));
  EXPECT_EQ(state_of(queue, "job-1"), JobState::running);
  EXPECT_TRUE(queue.finish(std::move(*lease)));
  EXPECT_EQ(state_of(queue, "job-1"), JobState::done);
  EXPECT_FALSE(queue.try_take("job-1"));
  EXPECT_FALSE(queue.try_take("no-such-job"));
  EXPECT_FALSE(fs::exists(folder.path() / "jobs/job-1/lease"));
  queue.try_take("job-2");  // released at once
  EXPECT_EQ(state_of(queue, "job-2"), JobState::queued);
}

// Catches: priorities or places in the list that do not survive the folder.
TEST(QueueFolder, OrderAndPrioritySurvive) {
  const test::TempFolder folder;
  QueueFolder(folder.path(), options("a"))
      .add(std::vector<QueueJob>{{"z", "1", Priority::low, 12345678.9, 0},
                                 {"a", "2", Priority::high, 0.1, 1}});
  const auto jobs = QueueFolder(folder.path(), options("b")).list();
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0].id, "z");
  EXPECT_EQ(jobs[0].priority, Priority::low);
  EXPECT_EQ(jobs[0].work, 12345678.9);
  EXPECT_EQ(jobs[1].priority, Priority::high);
  EXPECT_EQ(jobs[1].work, 0.1);
}

TEST(QueueFolder, AddingIsIdempotentAndNamesWhatDiffers) {
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("a"));
  std::vector<QueueJob> jobs = some_jobs(4);
  queue.add(jobs);
  queue.add(jobs);
  EXPECT_EQ(queue.list().size(), 4U);
  jobs[2].text = "prompt = 'changed'\n";
  jobs.push_back({"../outside", "x", Priority::normal, 1, 4});
  jobs.push_back({"new", "x", Priority::normal, 1, 5});
  try {
    queue.add(jobs);
    FAIL();
  } catch (const InputError& e) {
    ASSERT_EQ(e.problems().size(), 2U);
    EXPECT_TRUE(contains(e.problems()[0], "job-2"));
    EXPECT_TRUE(contains(e.problems()[1], "../outside"));
  }
  EXPECT_EQ(queue.list().size(), 5U);  // the new one is there all the same
  // As a power cut may leave a file that was renamed before its bytes reached the disk.
  put(folder.path() / "jobs/job-0/job.toml", "");
  put(folder.path() / "jobs/job-0/order", "");
  queue.add(some_jobs(4));
  EXPECT_GT(fs::file_size(folder.path() / "jobs/job-0/job.toml"), 0U);
}

// Catches: a job whose folder appears before its text does.
TEST(QueueFolder, ManyProcessesAddTheSameList) {
  const test::TempFolder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(in_child([&] {
      QueueFolder(folder.path(), options("a")).add(some_jobs(150));
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(exit_code(child), 0);
  EXPECT_EQ(QueueFolder(folder.path(), options("a")).list().size(), 150U);
  for (const auto& entry : fs::directory_iterator(folder.path() / "jobs")) {
    EXPECT_NE(entry.path().filename().string().front(), '.') << "a leftover";
  }
}

TEST(QueueFolder, ParkedAfterThreeFailuresAndRetriedOnRequest) {
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("a"));
  queue.add(some_jobs(1));
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_EQ(state_of(queue, "job-0"), JobState::queued);
    fail_once(queue, "job-0", fmt::format("out of\tmemory\nat step {}", attempt));
    EXPECT_EQ(queue.list()[0].attempts, attempt + 1);
    EXPECT_EQ(queue.attempts_at("job-0"), attempt + 1);
  }
  EXPECT_EQ(state_of(queue, "job-0"), JobState::parked);
  EXPECT_FALSE(queue.try_take("job-0"));
  EXPECT_TRUE(contains(queue.list()[0].last_error, "memory at step 2"));
  EXPECT_EQ(queue.retry_parked(), 1);
  EXPECT_EQ(queue.retry_parked(), 0);
  EXPECT_EQ(queue.list()[0].attempts, 0);
  EXPECT_TRUE(queue.try_take("job-0"));
}

// Killed between the third line of `attempts` and the marker: the next taker parks it.
TEST(QueueFolder, UsedUpAttemptsParkEvenIfTheMarkerIsMissing) {
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("a"));
  queue.add(some_jobs(1));
  for (int attempt = 0; attempt < 3; ++attempt) fail_once(queue, "job-0");
  fs::remove(folder.path() / "jobs/job-0/parked");
  std::ofstream(folder.path() / "jobs/job-0/attempts", std::ios::app) << "half a li";
  EXPECT_EQ(state_of(queue, "job-0"), JobState::queued);
  EXPECT_FALSE(queue.try_take("job-0"));
  EXPECT_EQ(state_of(queue, "job-0"), JobState::parked);
  queue.retry_parked();  // half a line does not swallow the next one
  EXPECT_EQ(queue.list()[0].attempts, 0);
}

// A job that kills its process every time must not be retried for ever.
TEST(QueueFolder, AttemptsThatVanishAreCounted) {
  const test::TempFolder folder;
  QueueOptions few = options("a");
  few.max_lost = 2;
  QueueFolder queue(folder.path(), few);
  queue.add(some_jobs(1));
  for (int i = 0; i < 2; ++i) {
    const pid_t child = in_child([&] {
      QueueFolder own(folder.path(), few);
      const auto lease = own.try_take("job-0");
      return lease ? ::kill(::getpid(), SIGKILL) : 1;
    });
    EXPECT_EQ(exit_code(child), -1);
    EXPECT_EQ(state_of(queue, "job-0"), JobState::stale);
  }
  EXPECT_FALSE(queue.try_take("job-0"));  // the second loss is noted: parked
  const JobView job = queue.list()[0];
  EXPECT_EQ(job.state, JobState::parked);
  EXPECT_EQ(job.attempts, 0);
  EXPECT_EQ(job.lost, 2);
  EXPECT_EQ(queue.attempts_at("job-0"), 2);
  EXPECT_TRUE(contains(job.last_error, "stopped without a word"));
}

// Catches: `done` that a second owner overwrites, a failure noted by who lost the lease.
TEST(QueueFolder, WhoLostTheLeaseChangesNothing) {
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("a"));
  queue.add(some_jobs(2));
  for (const char* id : {"job-0", "job-1"}) {
    auto lease = queue.try_take(id);
    ASSERT_TRUE(lease);
    fs::remove(folder.path() / "jobs" / id / "lease");
    QueueFolder other(folder.path(), options("b"));
    auto second = other.try_take(id);
    ASSERT_TRUE(second);
    if (id == std::string("job-0")) {
      EXPECT_FALSE(queue.finish(std::move(*lease)));
    } else {
      EXPECT_FALSE(queue.fail(std::move(*lease), "late"));
    }
    EXPECT_EQ(state_of(queue, id), JobState::running);
    EXPECT_EQ(other.list()[1].attempts, 0);
    EXPECT_TRUE(other.finish(std::move(*second)));
  }
  EXPECT_FALSE(fs::exists(folder.path() / "jobs/job-1/attempts"));
}

// Killed between the marker and the lease's removal: done, whatever else lies there.
TEST(QueueFolder, DoneOutweighsALeftLease) {
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("a"));
  queue.add(some_jobs(1));
  put(folder.path() / "jobs/job-0/lease", "garbage");
  EXPECT_EQ(state_of(queue, "job-0"), JobState::running);
  put(folder.path() / "jobs/job-0/done", "");
  EXPECT_EQ(state_of(queue, "job-0"), JobState::done);
  EXPECT_FALSE(queue.try_take("job-0"));
}

// A broken machine must not park the whole list.
TEST(QueueFolder, AWorkerThatFailsDifferentJobsInARowIsBlocked) {
  const test::TempFolder folder;
  QueueFolder broken(folder.path(), options("broken"));
  QueueFolder well(folder.path(), options("well"));
  broken.add(some_jobs(4));
  for (int i = 0; i < 3; ++i) fail_once(broken, "job-0");  // one job: its own fault so far
  EXPECT_EQ(state_of(broken, "job-0"), JobState::parked);
  EXPECT_FALSE(broken.blocked());
  fail_once(broken, "job-1");
  fail_once(well, "job-1");
  EXPECT_FALSE(broken.blocked());
  fail_once(broken, "job-2");
  EXPECT_TRUE(broken.blocked());
  EXPECT_FALSE(broken.try_take("job-3"));
  EXPECT_FALSE(broken.choose(broken.list(), JobOrder::fifo, Balance::least_loaded));
  const auto jobs = well.list();
  EXPECT_EQ(jobs[0].state, JobState::queued);  // its three attempts were given back
  EXPECT_EQ(jobs[0].attempts, 0);
  EXPECT_EQ(jobs[1].attempts, 1);  // the other worker's counts
  EXPECT_EQ(jobs[2].attempts, 0);
  EXPECT_TRUE(contains(well.status_text(), "worker broken"));
  EXPECT_EQ(well.unblock_workers(), 1);
  EXPECT_TRUE(broken.try_take("job-3"));
}

// Would catch: a new run on a machine that is known to be broken, which burns three jobs more.
TEST(QueueFolder, AHostOfWhichTwoWorkersAreBlockedIsBlocked) {
  const test::TempFolder folder;
  const auto on = [&](const std::string& host, const std::string& worker) {
    QueueOptions o = options(worker);
    o.host = host;
    return QueueFolder(folder.path(), o);
  };
  const auto break_down = [&](QueueFolder&& worker) {
    for (int i = 0; i < 3; ++i) fail_once(worker, fmt::format("job-{}", i));
    EXPECT_TRUE(worker.blocked());
  };
  on("n1", "a").add(some_jobs(8));
  break_down(on("n1", "a"));
  EXPECT_FALSE(on("n1", "c").blocked());  // a's own fault so far
  break_down(on("n2", "d"));
  EXPECT_FALSE(on("n1", "c").blocked());
  break_down(on("n1", "b"));
  QueueFolder newcomer = on("n1", "c");
  EXPECT_TRUE(newcomer.blocked());
  EXPECT_FALSE(newcomer.try_take("job-5"));
  EXPECT_EQ(newcomer.blocked_hosts(), std::vector<std::string>{"n1"});
  EXPECT_TRUE(contains(newcomer.status_text(), "blocked  host n1"));
  EXPECT_FALSE(on("n2", "e").blocked());
  EXPECT_TRUE(on("n2", "e").try_take("job-5"));
  // A third group there is at work and well: then it is not the host.
  on("n1", "f").set_speed(1e12);
  EXPECT_FALSE(newcomer.blocked());
  fs::remove(folder.path() / "workers/f");
  EXPECT_TRUE(newcomer.blocked());
  EXPECT_EQ(newcomer.unblock_workers(), 3);
  EXPECT_FALSE(newcomer.blocked());
}

TEST(QueueFolder, ASuccessEndsTheRowOfFailures) {
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("a"));
  queue.add(some_jobs(6));
  queue.set_speed(1.25e14);
  for (int i = 0; i < 5; ++i) {
    if (i == 2) {
      EXPECT_TRUE(queue.finish(std::move(*queue.try_take("job-2"))));
    } else {
      fail_once(queue, fmt::format("job-{}", i));
    }
  }
  EXPECT_FALSE(queue.blocked());
  ASSERT_EQ(queue.workers().size(), 1U);
  EXPECT_EQ(queue.workers()[0].speed, 1.25e14);
  EXPECT_EQ(queue.workers()[0].failures.size(), 2U);
}

TEST(QueueFolder, ChooseLeavesAFailedJobToOthersAndForLast) {
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("a"));
  queue.add(some_jobs(2));
  const auto chosen = [&](QueueFolder& q, Balance balance = Balance::least_loaded) {
    return q.choose(q.list(), JobOrder::fifo, balance).value_or("none");
  };
  EXPECT_EQ(chosen(queue), "job-0");
  fail_once(queue, "job-0");
  EXPECT_EQ(chosen(queue), "job-1");
  QueueFolder other(folder.path(), options("b"));
  EXPECT_EQ(chosen(other), "job-0");
  auto lease = other.try_take("job-1");
  EXPECT_EQ(chosen(queue), "job-0");  // nothing else is left
  // Ten times as fast and free in a second: it would finish job-0 sooner than this one.
  other.set_speed(1e15);
  queue.set_speed(1e14);
  lease->set_status({"denoise", 49, 50, 1.0});
  pause_for(timeout / 2);
  EXPECT_EQ(chosen(queue, Balance::measured), "none");
  EXPECT_EQ(chosen(queue), "job-0");
}

TEST(QueueFolder, StatusSaysWhoDoesWhatAndWhatToDo) {
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("node3.gpu0"));
  queue.add(some_jobs(4));
  for (int i = 0; i < 3; ++i) fail_once(queue, "job-0", "out of memory at 720p");
  EXPECT_TRUE(queue.finish(std::move(*queue.try_take("job-1"))));
  auto lease = queue.try_take("job-2");
  lease->set_status({"denoise", 12, 50, 600});
  pause_for(timeout / 2);
  const std::string text = queue.status_text();
  for (const char* part :
       {"4 jobs: 1 done, 1 running, 1 queued, 1 parked", "job-2", "node3.gpu0",
        "denoise, step 12 of 50, 10 min left", "out of memory at 720p", "--retry-parked"}) {
    EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
  }
}

TEST(QueueFolder, ErrorsNameTheFolder) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "queue";
  QueueFolder queue(path, options("a"));
  EXPECT_TRUE(contains(error_of([&] { queue.list(); }), path.string()));
  EXPECT_TRUE(contains(error_of([&] { queue.try_take("job-0"); }), path.string()));
  put(path, "a file");
  EXPECT_TRUE(contains(error_of([&] { queue.add(some_jobs(1)); }), path.string()));
  fs::remove(path);
  queue.add(some_jobs(1));
  auto lease = queue.try_take("job-0");
  fs::remove_all(path);
  EXPECT_FALSE(queue.finish(std::move(*lease)));
  EXPECT_TRUE(contains(error_of([&] { queue.list(); }), path.string()));
  EXPECT_TRUE(contains(error_of([&] { QueueFolder("x", options("a/b")); }), "a/b"));
}

TEST(QueueFolder, AReadOnlyFolderCanBeLookedAtOnly) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const test::TempFolder folder;
  QueueFolder queue(folder.path(), options("a"));
  queue.add(some_jobs(1));
  const fs::path job = folder.path() / "jobs/job-0";
  fs::permissions(job, fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(queue.list().size(), 1U);
  EXPECT_TRUE(contains(error_of([&] { queue.try_take("job-0"); }), job.string()));
  fs::permissions(job, fs::perms::owner_all);
}

// A generous bound; the figure is printed.
TEST(QueueFolder, ListingIsQuick) {
  const test::TempFolder folder;
  double begin = now_seconds();
  constexpr int count = 2000;  // removing ten thousand folders would take longer than the rest
  QueueFolder queue(folder.path(), options("a"));
  queue.add(some_jobs(count));
  const double adding = now_seconds() - begin;
  for (int i = 0; i < count / 2; ++i) {
    put(folder.path() / fmt::format("jobs/job-{}/done", i), "");
  }
  double times[2] = {};
  for (double& time : times) {
    begin = now_seconds();
    EXPECT_EQ(queue.list().size(), static_cast<std::size_t>(count));
    time = now_seconds() - begin;
  }
  fmt::print("{} jobs, half done: added in {:.2f} s, listed in {:.3f} s, again in {:.3f} s\n",
             count, adding, times[0], times[1]);
  EXPECT_LT(times[1], 2);
}

}  // namespace
}  // namespace weft
