// weft scale: measuring on several numbers of ranks of one run, resuming, and fitting records.
#include <csignal>

#include <gtest/gtest.h>

#include "program.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

class Scale : public testing::Test {
 protected:
  Outcome scale(const Words& more, int ranks) {
    Words words{"scale",      "--model", golden_model("tiny-wan21"), "--prompt",
                "a red kite", "-o",      folder().string()};
    words.insert(words.end(), small.begin(), small.end());
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words, ranks);
  }
  [[nodiscard]] fs::path folder() const { return folder_.path() / "out"; }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    if (!fs::exists(folder())) return names;
    for (const auto& entry : fs::directory_iterator(folder())) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  const Words small{"--width", "64", "--height", "64",        "--frames", "9",
                    "--steps", "2",  "--quiet",  "--threads", "1",        "--no-metadata"};
  TempFolder folder_;
};

bool has(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

// Would catch: a number of ranks that is not run, records that miss or are made twice, clips of
// other bytes than a render's, fits without their text, files left under temporary names.
TEST_F(Scale, MeasuresFitsAndGoesOn) {
  const Outcome ran = scale({"--repeats", "2"}, 2);
  ASSERT_EQ(ran.exit_code, 0) << ran.err << ran.out;
  const std::vector<std::string> expected{
      "ranks1-run1.record.h5", "ranks1-run2.record.h5", "ranks1.mp4",
      "ranks2-run1.record.h5", "ranks2-run2.record.h5", "ranks2.mp4",
      "scaling.json"};
  EXPECT_EQ(files(), expected);
  for (const char* words :
       {"strong scaling", "without loading the model", "amdahl", "a = ", "predicted by amdahl",
        "add a third", "usl is left out", "Karp-Flatt"}) {
    EXPECT_TRUE(has(ran.out, words)) << words << "\n" << ran.out;
  }
  // The second repeat goes from many ranks to few.
  EXPECT_LT(ran.out.find("2 ranks, run 2"), ran.out.find("1 rank,  run 2")) << ran.out;
  EXPECT_LT(ran.out.find("1 rank,  run 1"), ran.out.find("2 ranks, run 1")) << ran.out;
  EXPECT_TRUE(read_file(folder() / "ranks1.mp4") == read_file(folder() / "ranks2.mp4"));
  const fs::path alone = folder_.path() / "alone.mp4";
  Words render{"render", "--model",     golden_model("tiny-wan21"), "--prompt", "a red kite",
               "-o",     alone.string()};
  render.insert(render.end(), small.begin(), small.end());
  ASSERT_EQ(run_weft(render).exit_code, 0);
  EXPECT_TRUE(read_file(folder() / "ranks2.mp4") == read_file(alone));

  // Only what is missing is run again.
  const auto kept = fs::last_write_time(folder() / "ranks1-run1.record.h5");
  fs::remove(folder() / "ranks2-run2.record.h5");
  const Outcome again = scale({"--repeats", "2"}, 2);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(has(again.out, "3 of 4 runs have their record")) << again.out;
  EXPECT_TRUE(has(again.out, "2 ranks, run 2")) << again.out;
  EXPECT_FALSE(has(again.out, "run 1 of")) << again.out;
  EXPECT_EQ(files(), expected);
  EXPECT_EQ(fs::last_write_time(folder() / "ranks1-run1.record.h5"), kept);

  // Records of other work are not mixed in.
  const Outcome other = scale({"--repeats", "2", "--steps", "3"}, 2);
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_TRUE(has(other.err, "steps \"2\" and this run \"3\"")) << other.err;

  // The same from the records alone, by files and by folder.
  const Outcome from = run_weft({"scale", "--from", folder().string()});
  ASSERT_EQ(from.exit_code, 0) << from.err;
  EXPECT_TRUE(has(from.out, "predicted by amdahl")) << from.out;
  const Outcome one = run_weft({"scale", "--from", (folder() / "ranks2-run1.record.h5").string(),
                                (folder() / "ranks2-run2.record.h5").string()});
  EXPECT_EQ(one.exit_code, 0) << one.err;
  EXPECT_TRUE(has(one.out, "at least 2 different numbers of ranks")) << one.out;
}

// Would catch: work that is not measured, clips kept that nobody wants, ranks that wait for ever
// when the largest number is not all of them.
TEST_F(Scale, WeakOnSomeOfTheRanks) {
  const Outcome ran =
      scale({"--repeats", "1", "--weak", "frames", "--ranks-list", "2,1", "--no-keep-clips"}, 3);
  ASSERT_EQ(ran.exit_code, 0) << ran.err << ran.out;
  EXPECT_EQ(files(), (std::vector<std::string>{"ranks1-run1.record.h5", "ranks2-run1.record.h5",
                                               "scaling.json"}));
  EXPECT_TRUE(has(ran.out, "weak scaling")) << ran.out;
  EXPECT_TRUE(has(ran.out, "no interval")) << ran.out;
  const Outcome as_strong = run_weft({"scale", "--from", folder().string()});
  EXPECT_TRUE(has(as_strong.out, "2 kinds of work")) << as_strong.out;
  const Outcome as_weak = run_weft({"scale", "--from", folder().string(), "--weak", "frames"});
  EXPECT_TRUE(has(as_weak.out, "weak scaling")) << as_weak.out;
}

TEST_F(Scale, WindowsAreTold) {
  const Outcome ran =
      scale({"--repeats", "1", "--width", "128", "--window", "64x64x9", "--no-keep-clips"}, 2);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(has(ran.out, "windows change the arithmetic")) << ran.out;
}

TEST_F(Scale, DryRunWritesNothing) {
  const Outcome ran = scale({"--dry-run", "--weak", "width"}, 2);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(has(ran.out, "128x64x9")) << ran.out;
  EXPECT_TRUE(has(ran.out, "nothing was written")) << ran.out;
  EXPECT_FALSE(fs::exists(folder()));
}

// Would catch: problems told one by one, or after something was computed or written.
TEST_F(Scale, AllProblemsAtOnce) {
  const Outcome ran = scale({"--repeats", "0", "--weak", "depth", "--ranks-list", "1,x",
                             "--sampler", "guess", "--bandwidth", "-1"},
                            2);
  EXPECT_EQ(ran.exit_code, 2);
  for (const char* words :
       {"repeats: 0", "weak: \"depth\"", "ranks-list: \"x\"", "sampler", "bandwidth: -1"}) {
    EXPECT_TRUE(has(ran.err, words)) << words << "\n" << ran.err;
  }
  const Outcome many = scale({"--ranks-list", "1,4", "--frames", "8"}, 2);
  EXPECT_EQ(many.exit_code, 2);
  EXPECT_TRUE(has(many.err, "4 ranks are asked for and the run has 2")) << many.err;
  EXPECT_TRUE(has(many.err, "frames: 8")) << many.err;
  EXPECT_FALSE(fs::exists(folder()));

  EXPECT_EQ(run_weft({"scale", "--model", golden_model("tiny-wan21")}).exit_code, 2);
  const Outcome none = run_weft({"scale", "--from", folder_.path().string(), "gone.h5"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_TRUE(has(none.err, "gone.h5")) << none.err;
  EXPECT_TRUE(has(none.err, "no run record")) << none.err;
}

// A limit that has passed when the first run is to begin: nothing is computed, the same command
// with more time goes on.
TEST_F(Scale, StopsBetweenRuns) {
  const Outcome ran = scale({"--repeats", "1", "--time-limit", "1s"}, 2);
  EXPECT_EQ(ran.exit_code, 75) << ran.err;
  EXPECT_TRUE(has(ran.out, "run the same command again")) << ran.out;
  EXPECT_EQ(files(), std::vector<std::string>{});
  EXPECT_EQ(scale({"--repeats", "1"}, 2).exit_code, 0);
}

}  // namespace
}  // namespace weft::test
