// What of a job lies in the queue and what comes from the run; which job a group takes next.
#include "weft/run/batch.h"

#include <gtest/gtest.h>

#include "../../src/run/batch_files.h"
#include "../../src/run/batch_turns.h"
#include "queue_folder_support.h"
#include "support/temp_folder.h"

namespace weft::test {
namespace {

Job kite() {
  Job job;
  job.prompt = "a \"red\" kite\\";
  job.model = "/models/wan";
  job.steps = 7;
  job.guidance_scale = 0.1;
  return job;
}

/// As the run with `defaults` reads it.
Job through_queue(const fs::path& folder, const Job& job, const Job& written_by,
                  const Job& read_by) {
  fs::create_directories(folder / "jobs/x");
  put(folder / "jobs/x/job.toml", stored_text(job, written_by));
  return stored_job(folder, "x", read_by);
}

// Would catch: a run with other machine's keys that finds "another content" in the folder.
TEST(BatchFiles, KeysOfTheRunAreNotStored) {
  Job job = kite();
  job.threads = 3;
  job.time_limit = "1h";
  job.output = "clips";
  Job defaults;
  defaults.threads = 3;
  defaults.time_limit = "1h";
  defaults.output = "clips";
  EXPECT_EQ(stored_text(job, defaults), job_text(kite()));
}

// Would catch: a value of the run's defaults that changes what an older list asked for, and a
// job's own number of threads that is lost.
TEST(BatchFiles, ClipKeysComeFromTheJobMachineKeysFromTheRun) {
  const TempFolder folder;
  Job run;
  run.threads = 2;
  run.steps = 50;
  run.prompt = "something else";
  const Job plain = through_queue(folder.path(), kite(), {}, run);
  EXPECT_EQ(plain.prompt, kite().prompt);
  EXPECT_EQ(plain.steps, 7);
  EXPECT_EQ(plain.threads, 2);
  EXPECT_EQ(plain.output, folder.path() / "jobs/x/clip.mp4");
  Job own = kite();
  own.threads = 5;
  own.codec = "ffv1";
  const Job kept = through_queue(folder.path(), own, run, run);
  EXPECT_EQ(kept.threads, 5);
  EXPECT_EQ(kept.output.filename(), "clip.mkv");
}

TEST(BatchFiles, PackedJobIsTheSameJob) {
  Job job = kite();
  job.storyboard = "33: a moon | 65: a sun";
  job.metadata = false;
  job.seed = ~std::uint64_t{0};
  const Job back = unpack_job(pack_job(job));
  for (const JobKey& key : job_keys()) EXPECT_EQ(key.get(back), key.get(job)) << key.name;
}

class Turns : public testing::Test {
 protected:
  Turns() {
    batch_.folder = folder_.path();
    QueueFolder(folder_.path(), options("")).add(some_jobs(3));
  }
  TempFolder folder_;
  BatchOptions batch_;
};

// Would catch: a group that waits for its own unfinished clip, or ends while others render.
TEST_F(Turns, JobsThenWaitingThenOver) {
  QueueFolder mine(folder_.path(), options("me"));
  QueueFolder theirs(folder_.path(), options("they"));
  BatchTurns turns(mine, batch_);
  auto other = theirs.try_take("job-1");
  ASSERT_TRUE(other);
  std::optional<Lease> pending;
  const auto finish_pending = [&] {
    if (!pending) return false;
    EXPECT_TRUE(mine.finish(std::move(*pending)));
    pending.reset();
    turns.look_again();
    return true;
  };
  for (const char* id : {"job-0", "job-2"}) {
    Turn turn = turns.next(finish_pending);
    ASSERT_EQ(turn.kind, Turn::Kind::job);
    EXPECT_EQ(turn.id, id);
    finish_pending();
    pending = std::move(turn.lease);
  }
  const Turn waits = turns.next(finish_pending);
  EXPECT_EQ(waits.kind, Turn::Kind::wait);
  EXPECT_GT(waits.seconds, 0);
  EXPECT_FALSE(pending);  // finished before waiting
  EXPECT_TRUE(theirs.finish(std::move(*other)));
  EXPECT_EQ(turns.next(finish_pending).kind, Turn::Kind::over);
}

// Would catch: more jobs at a time than allowed, and a limit that counts this group's own clip
// that is as good as done.
TEST_F(Turns, MostConcurrent) {
  batch_.max_concurrent = 1;
  QueueFolder mine(folder_.path(), options("me"));
  QueueFolder theirs(folder_.path(), options("they"));
  BatchTurns turns(mine, batch_), their_turns(theirs, batch_);
  const auto nothing = [] { return false; };
  Turn first = turns.next(nothing);
  ASSERT_EQ(first.kind, Turn::Kind::job);
  EXPECT_EQ(their_turns.next(nothing).kind, Turn::Kind::wait);
  const Turn second = turns.next([&] { return mine.finish(std::move(*first.lease)); });
  EXPECT_EQ(second.kind, Turn::Kind::job);
}

TEST_F(Turns, WaitingAreThoseThatComeNext) {
  QueueFolder mine(folder_.path(), options("me"));
  BatchTurns turns(mine, batch_);
  const Turn first = turns.next([] { return false; });
  ASSERT_EQ(first.id, "job-0");
  EXPECT_EQ(turns.waiting(16), (std::vector<std::string>{"job-1", "job-2"}));
  EXPECT_EQ(turns.waiting(1), (std::vector<std::string>{"job-1"}));
}

}  // namespace
}  // namespace weft::test
