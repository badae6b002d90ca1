// Ranks, launchers, nodes and clocks that fail while the program works.
#include <gtest/gtest.h>

#include "weft/base/error.h"

#include "running.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

/// Seconds in which every process of a job has ended after it lost one.
constexpr double end_of_a_lost_job = 30;

class Faults : public testing::Test {
 protected:
  /// Two windows, and steps enough that something can happen meanwhile.
  [[nodiscard]] Words job(const std::string& clip, const Words& more = {}) const {
    Words words{"render",   "--model",   golden_model("tiny-wan21"),
                "--prompt", "a kite",    "--width",
                "128",      "--height",  "64",
                "--frames", "5",         "--window",
                "64x64x5",  "--steps",   "600",
                "--record", "none",      "--threads",
                "1",        "--verbose", "--no-metadata",
                "-o",       path(clip)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_.path() / name).string();
  }
  [[nodiscard]] Words files() const {
    Words names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      names.push_back(fs::relative(entry.path(), folder_.path()).string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  /// The same command makes the clip of an undisturbed run, and nothing else is left.
  void expect_the_clip_after_all(const std::string& clip, const Words& more = {}) {
    const Outcome again = run_weft(job(clip, more), 2);
    ASSERT_EQ(again.exit_code, 0) << again.err;
    const std::string made = read_file(path(clip));
    EXPECT_EQ(files(), Words{clip});
    fs::remove(path(clip));
    ASSERT_EQ(run_weft(job(clip, more)).exit_code, 0);
    EXPECT_TRUE(read_file(path(clip)) == made);
  }
  /// A lease as a run on another machine would hold it: whether that run lives shows in a minute.
  void put_a_strangers_lease(const std::string& folder) const {
    fs::create_directory(path(folder));
    std::ofstream(path(folder + "/lease")) << "of a version that is not known here\n";
  }
  TempFolder folder_;
};

TEST_F(Faults, AKilledRankEndsAllNamed) {
  for (const int lost : {1, 0}) {
    Running job_of_three(job("clip.mp4", {"--checkpoint-every", "1s"}), 3);
    ASSERT_TRUE(job_of_three.says("denoise: step 200,")) << job_of_three.err();
    ASSERT_EQ(job_of_three.processes().size(), 3U);
    ::kill(job_of_three.rank(lost), SIGKILL);
    const Outcome end = job_of_three.wait(end_of_a_lost_job);
    EXPECT_GT(end.exit_code, 2) << end.err;  // to be started again
    EXPECT_NE(end.err.find(fmt::format("rank {} on node ", lost)), std::string::npos) << end.err;
    EXPECT_NE(end.err.find("is gone"), std::string::npos) << end.err;
    EXPECT_TRUE(within(3, [&] { return job_of_three.processes().empty(); }));
    EXPECT_FALSE(fs::exists(path("clip.mp4")));
  }
  expect_the_clip_after_all("clip.mp4");
}

TEST_F(Faults, AStoppedRankEndsAllNamed) {
  // Steps slow enough that so many take more than a second, the time between two words with the
  // watchdog.
  const Words wide{"--width", "512"};
  Running job_of_three(job("clip.mp4", wide), 3);
  ASSERT_TRUE(job_of_three.says("denoise: step 400,")) << job_of_three.err();
  ASSERT_EQ(job_of_three.processes().size(), 3U);
  ::kill(job_of_three.rank(1), SIGSTOP);
  const Outcome end = job_of_three.wait(end_of_a_lost_job);
  EXPECT_GT(end.exit_code, 2) << end.err;
  EXPECT_NE(end.err.find("rank 1 on node "), std::string::npos) << end.err;
  EXPECT_NE(end.err.find("denoise, step "), std::string::npos) << end.err;
  EXPECT_TRUE(within(3, [&] { return job_of_three.processes().empty(); }));
  expect_the_clip_after_all("clip.mp4", wide);
}

// Would catch: a watchdog that is there only once the models are.
TEST_F(Faults, ARankStoppedBeforeAnythingIsComputedEndsAllNamed) {
  put_a_strangers_lease("clip.weft");  // holds rank 0 up, and the others wait for it
  Running job_of_two(job("clip.mp4"), 2);
  ASSERT_TRUE(job_of_two.says("whether it is kept up")) << job_of_two.err();
  ASSERT_EQ(job_of_two.processes().size(), 2U);
  ::kill(job_of_two.rank(1), SIGSTOP);
  const Outcome end = job_of_two.wait(end_of_a_lost_job);
  EXPECT_GT(end.exit_code, 2) << end.err;
  EXPECT_NE(end.err.find("rank 1 on node "), std::string::npos) << end.err;
  EXPECT_TRUE(within(3, [&] { return job_of_two.processes().empty(); }));
}

// Each run goes on where the one before was stopped, on another number of ranks.
TEST_F(Faults, ToldToStopItKeepsACheckpointAndTheSameGoesOn) {
  struct Stop {
    int signal, ranks;
  };
  int before = 0;
  for (const auto& [signal, ranks] :
       {Stop{SIGUSR1, 2}, Stop{SIGTERM, 0}, Stop{SIGUSR1, 3}, Stop{SIGINT, 0}}) {
    Running running(job("clip.mp4"), ranks);
    ASSERT_TRUE(running.says("denoise: step ")) << running.err();
    ::kill(running.pid(), signal);  // mpirun passes SIGUSR1 on
    const Outcome end = running.wait(end_of_a_lost_job);
    EXPECT_EQ(end.exit_code, 75) << signal << end.err;
    const std::string words = "with a checkpoint after step ";
    const auto at = end.err.find(words);
    ASSERT_NE(at, std::string::npos) << end.err;
    const int steps = std::atoi(end.err.c_str() + at + words.size());
    EXPECT_GT(steps, before);
    if (before > 0) {
      EXPECT_NE(end.err.find(fmt::format("going on after step {} of", before)), std::string::npos);
    }
    before = steps;
    EXPECT_FALSE(fs::exists(path("clip.mp4")));
  }
  EXPECT_LT(before, 600);
  expect_the_clip_after_all("clip.mp4");
}

TEST_F(Faults, NoRankOutlivesMpirun) {
  for (const int ranks : {1, 3}) {
    Running launched(job("clip.mp4", {"--width", "1024"}), ranks);
    ASSERT_TRUE(launched.says("denoise: step 200,")) << launched.err();
    ASSERT_EQ(launched.processes().size(), static_cast<std::size_t>(ranks));
    ::kill(launched.pid(), SIGKILL);
    EXPECT_EQ(launched.wait(5).exit_code, 128 + SIGKILL);
    EXPECT_TRUE(within(end_of_a_lost_job, [&] { return launched.processes().empty(); })) << ranks;
    EXPECT_FALSE(fs::exists(path("clip.mp4")));
  }
}

TEST_F(Faults, TheSecondRunOfOneClipIsRefusedAndTheFirstUnharmed) {
  Running first(job("clip.mp4", {"--width", "1024"}));
  ASSERT_TRUE(first.says("denoise: step 200,")) << first.err();
  const Outcome second = run_weft(job("clip.mp4"), 2);
  EXPECT_EQ(second.exit_code, 2) << second.err;
  EXPECT_NE(second.err.find(fmt::format("is being written by process {} on ", first.pid())),
            std::string::npos)
      << second.err;
  const Outcome end = first.wait(120);
  EXPECT_EQ(end.exit_code, 0) << end.err;
  EXPECT_EQ(files(), Words{"clip.mp4"});
}

// A node that is paused (a virtual machine that moves, a laptop that sleeps) while another takes
// its job over, and wakes up. Would catch: two runs that write one clip, or a job that counts
// twice.
TEST_F(Faults, ARunOnAPausedNodeFindsItsJobTakenOver) {
  std::ofstream(path("list.csv")) << "id,prompt,steps\na,a kite,1000\n";
  const Words words{"batch",
                    path("list.csv"),
                    "--model",
                    golden_model("tiny-wan21"),
                    "--width",
                    "64",
                    "--height",
                    "64",
                    "--frames",
                    "5",
                    "--record",
                    "none",
                    "--threads",
                    "1",
                    "--no-metadata",
                    "--verbose",
                    "--checkpoint-every",
                    "0.5s",
                    "--lease-timeout",
                    "3s",
                    "-o",
                    path("clips")};
  Running paused(words);
  ASSERT_TRUE(within(60, [&] { return fs::exists(path("clips/jobs/a/clip.weft/checkpoint.h5")); }))
      << paused.err();
  ::kill(paused.pid(), SIGSTOP);
  Running other(words);
  ASSERT_TRUE(other.says("going on after step ")) << other.err();
  ::kill(paused.pid(), SIGCONT);
  const Outcome of_paused = paused.wait(120), of_other = other.wait(120);
  EXPECT_NE(of_paused.err.find("another run has taken the job over"), std::string::npos)
      << of_paused.err;
  EXPECT_EQ(of_paused.exit_code, 0) << of_paused.err;  // the job is done, whoever did it
  EXPECT_EQ(of_other.exit_code, 0) << of_other.err;
  EXPECT_NE(of_paused.out.find("1 of 1 jobs are done, 0 of them here"), std::string::npos)
      << of_paused.out;
  EXPECT_NE(of_other.out.find("1 of 1 jobs are done, 1 of them here"), std::string::npos)
      << of_other.out;
  const std::string made = read_file(path("clips/jobs/a/clip.mp4"));
  fs::remove_all(path("clips"));
  ASSERT_EQ(run_weft(words).exit_code, 0);
  EXPECT_TRUE(read_file(path("clips/jobs/a/clip.mp4")) == made);
}

// The wall clock jumps a day forward, a year back, and so on, at every look. Would catch: a lease
// that is given up or taken for stale, a time limit that strikes, a checkpoint at every step.
TEST_F(Faults, ClocksThatJump) {
  const std::pair<std::string, std::string> jumps{"LD_PRELOAD", preloaded("jumping_clock")};
  Running first(job("clip.mp4", {"--time-limit", "10m"}), 2, {jumps});
  ASSERT_TRUE(first.says("denoise: step 200,")) << first.err();
  EXPECT_EQ(run_weft(job("clip.mp4")).exit_code, 2);  // its lease holds
  const Outcome end = first.wait(120);
  EXPECT_EQ(end.exit_code, 0) << end.err;
  const std::string made = read_file(path("clip.mp4"));
  fs::remove(path("clip.mp4"));
  ASSERT_EQ(run_weft(job("clip.mp4")).exit_code, 0);
  EXPECT_TRUE(read_file(path("clip.mp4")) == made);

  std::ofstream(path("list.csv")) << "id,prompt\na,a kite\nb,a heron\nc,the sea\n";
  Words words{"batch",      path("list.csv"),
              "--model",    golden_model("tiny-wan21"),
              "--width",    "64",
              "--height",   "64",
              "--frames",   "5",
              "--steps",    "50",
              "--quiet",    "--threads",
              "1",          "--lease-timeout",
              "3s",         "-o",
              path("clips")};
  Running one(words, 0, {jumps}), two(words, 0, {jumps});
  EXPECT_EQ(one.wait(120).exit_code, 0) << one.err();
  EXPECT_EQ(two.wait(120).exit_code, 0) << two.err();
  for (const std::string id : {"a", "b", "c"}) {
    EXPECT_TRUE(fs::exists(path("clips/jobs/" + id + "/done"))) << id;
    EXPECT_FALSE(fs::exists(path("clips/jobs/" + id + "/attempts"))) << id;
  }
}

}  // namespace
}  // namespace weft::test
