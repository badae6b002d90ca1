#include "weft/run/sweep.h"

#include <fstream>
#include <random>
#include <set>

#include <gtest/gtest.h>
#include <unistd.h>

namespace weft {
namespace {

using Texts = std::vector<std::string>;
const Texts none;

class SweepFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("weft_sweep.{}", getpid());
    std::filesystem::create_directories(folder_);
    defaults_.model = "/models/wan";
    defaults_.prompt = "a river";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Reads `text` into sweep_; problems come back without the file's name.
  Texts read(const std::string& text) {
    const std::filesystem::path file = folder_ / "sweep.toml";
    std::ofstream(file, std::ios::binary) << text;
    Problems problems;
    sweep_ = read_sweep(file, defaults_, problems);
    Texts list = problems.list();
    for (std::string& problem : list) {
      EXPECT_TRUE(problem.starts_with(file.string() + ":")) << problem;
      problem.erase(0, file.string().size() + 1);
    }
    return list;
  }

  // The values of the only axis, of one key.
  Texts values(const std::string& line) {
    EXPECT_EQ(read("[sweep]\n" + line + "\n"), none) << line;
    Texts texts;
    if (sweep_.axes.size() != 1) return texts;
    for (const auto& value : sweep_.axes[0].values) texts.push_back(value[0]);
    return texts;
  }
  Texts ids() const {
    Texts texts;
    for (const ListedJob& point : sweep_.points) texts.push_back(point.id);
    return texts;
  }

  std::filesystem::path folder_;
  Job defaults_;
  Sweep sweep_;
};

// ---- axes and points -------------------------------------------------------------------------

// Would catch axes in the order of a hash table, and the first axis running fastest.
TEST_F(SweepFile, AxesMultiplyInTheOrderOfTheFile) {
  ASSERT_EQ(read("[base]\nsteps = 9\nmodel = \"wan\"\n"
                 "[sweep]\nseed = [7, 8,\n  9]\nguidance-scale = [5]\nfps = { from = 1, to = 2, "
                 "step = 1 }\n"
                 "crf = [3]\n"),
            none);
  Texts keys;
  for (const SweepAxis& axis : sweep_.axes) keys.push_back(axis.keys.at(0));
  EXPECT_EQ(keys, (Texts{"seed", "guidance-scale", "fps", "crf"}));
  EXPECT_EQ(ids(),
            (Texts{"seed-7_guidance-scale-5_fps-1_crf-3", "seed-7_guidance-scale-5_fps-2_crf-3",
                   "seed-8_guidance-scale-5_fps-1_crf-3", "seed-8_guidance-scale-5_fps-2_crf-3",
                   "seed-9_guidance-scale-5_fps-1_crf-3", "seed-9_guidance-scale-5_fps-2_crf-3"}));
  const ListedJob& point = sweep_.points[3];
  EXPECT_EQ(point.job.seed, 8);
  EXPECT_EQ(point.job.fps, 2);
  EXPECT_EQ(point.job.steps, 9);
  EXPECT_EQ(point.job.model, folder_ / "wan");
  EXPECT_EQ(point.job.prompt, "a river");
  EXPECT_EQ(point.where, (folder_ / "sweep.toml").string() + ": point 4");
  EXPECT_EQ(point.priority, Priority::normal);
}

TEST_F(SweepFile, ZippedKeysAdvanceTogetherWhereTheirSectionStands) {
  ASSERT_EQ(
      read("[zip]\nprompt = [\"a kite\", \"a heron\"]\nseed = [1, 2]\n[sweep]\ncrf = [3, 4]\n"),
      none);
  ASSERT_EQ(sweep_.axes.size(), 2);
  EXPECT_EQ(sweep_.axes[0].keys, (Texts{"prompt", "seed"}));
  EXPECT_EQ(sweep_.axes[0].values, (std::vector<Texts>{{"a kite", "1"}, {"a heron", "2"}}));
  ASSERT_EQ(sweep_.points.size(), 4);
  EXPECT_EQ(sweep_.points[1].job.prompt, "a kite");
  EXPECT_EQ(sweep_.points[1].job.crf, 4);
  EXPECT_EQ(sweep_.points[2].job.seed, 2);
  ASSERT_EQ(
      read("[sweep]\ncrf = [3, 4]\n[zip]\nseed = [1, 2]\n[sweep.steps]\nfrom=1\nto=2\nstep=1\n"),
      none);
  EXPECT_EQ(ids()[1], "crf-3_seed-1_steps-2");
}

TEST_F(SweepFile, EveryKindOfKeyCanBeSwept) {
  EXPECT_EQ(values("sampler = ['unipc', 'euler']"), (Texts{"unipc", "euler"}));
  EXPECT_EQ(values("metadata = [true, false]"), (Texts{"true", "false"}));
  EXPECT_EQ(values("guidance-scale = [3.0, 4.50]"), (Texts{"3", "4.5"}));
  EXPECT_EQ(values("seed = [18446744073709551615, 0x10]"), (Texts{"18446744073709551615", "16"}));
  EXPECT_EQ(values("model = ['wan', '/wan']"), (Texts{(folder_ / "wan").string(), "/wan"}));
}

// ---- ranges ----------------------------------------------------------------------------------

// Would catch sums of steps (0.30000000000000004) and a `to` lost to rounding.
TEST_F(SweepFile, RangesAreRoundedOnce) {
  EXPECT_EQ(values("guidance-scale = { from = 0.1, to = 0.7, step = 0.1 }"),
            (Texts{"0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"}));
  EXPECT_EQ(values("guidance-scale = { from = 1.1, to = 1.4, count = 4 }"),
            (Texts{"1.1", "1.2", "1.3", "1.4"}));
  EXPECT_EQ(values("guidance-scale = { from = 0, to = 1, count = 4 }"),
            (Texts{"0", "0.3333333333333333", "0.6666666666666666", "1"}));
  EXPECT_EQ(values("steps = { from = 50, to = 20, step = -10 }"), (Texts{"50", "40", "30", "20"}));
  EXPECT_EQ(values("steps = { from = 4, to = 4, step = 1 }"), Texts{"4"});
  EXPECT_EQ(values("fps = { from = 1, to = 2, step = 0.3 }"), (Texts{"1", "1.3", "1.6", "1.9"}));
  EXPECT_EQ(values("flow-shift = { from = 1e-300, to = 3e-300, step = 1e-300 }").size(), 3);
  const Texts fine = values("guidance-scale = { from = 0, to = 99.999, step = 0.001 }");
  ASSERT_EQ(fine.size(), 100'000);
  EXPECT_EQ(fine[12'345], "12.345");
  EXPECT_EQ(fine.back(), "99.999");
  const Texts counted = values("guidance-scale = { from = 0, to = 10, count = 10001 }");
  EXPECT_EQ(counted[3], "0.003");
  EXPECT_EQ(counted[9'999], "9.999");
}

// ---- ids -------------------------------------------------------------------------------------

TEST_F(SweepFile, IdsAreSafeAndUnique) {
  ASSERT_EQ(read("[sweep]\nprompt = ['../a', '../a', 'b/c d', '日本', '日曜', '" +
                 std::string(300, 'x') + "']\nseed = [1, 1]\n"),
            none);
  const std::string allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  std::set<std::string> seen;
  for (const std::string& id : ids()) {
    EXPECT_TRUE(seen.insert(id).second) << id;
    EXPECT_LE(id.size(), 100);
    EXPECT_EQ(id.find_first_not_of(allowed), std::string::npos) << id;
    EXPECT_TRUE(id.starts_with("prompt-")) << id;
  }
  EXPECT_EQ(seen.size(), 12);
}

// ---- problems --------------------------------------------------------------------------------

TEST_F(SweepFile, ProblemsNameTheLineAllAtOnce) {
  const Texts expected{
      "1: steps: belongs into [base], or with several values into [sweep]",
      "2: unknown section swep: did you mean sweep?",
      "5: width: 17 is not a multiple of 16: use 16 or 32",
      "6: output: not in a sweep: each point writes into a folder of its own",
      "9: frames: 80 is not of the form 4 k + 1: use 77 or 81",
      "10: frames: expected a whole number, got string",
      "11: unknown key sed: did you mean seed?",
      "12: crf: an empty list: nothing to sweep",
      "13: fps: expected a list such as [1, 2] or a range such as { from = 1, to = 2, step = 0.5 }",
      "14: sampler: expected a list such as [1, 2]",
      "15: steps: \"1.5\" is not a whole number",
      "18: seed: 3 values, but prompt has 2: those of [zip] advance together",
      "19: crf: both in [sweep] and in [zip]"};
  Texts problems = read(
      "steps = 3\n"
      "[swep]\n"
      "seed = [1]\n"
      "[base]\n"
      "width = 17\n"
      "output = \"a.mp4\"\n"
      "[sweep]\n"
      "frames = [81,\n"
      "  80,\n"
      "  81]\n"
      "sed = [1]\n"
      "crf = []\n"
      "fps = 3\n"
      "sampler = { from = 1, to = 2, step = 1 }\n"
      "steps = { from = 1, to = 2, step = 0.5 }\n"
      "[zip]\n"
      "prompt = ['a', 'b']\n"
      "seed = [1, 2, 3]\n");
  Texts without = expected;
  without.erase(without.begin() + 5);  // one kind per list: in the next file
  without.pop_back();
  EXPECT_EQ(problems, without);
  EXPECT_EQ(read("[sweep]\ncrf = [1]\n[zip]\ncrf = [2]\n"),
            Texts{"3: crf: both in [sweep] and in [zip]"});
  EXPECT_EQ(read("[sweep]\ncrf = [\n1,\n'a']\n").size(), 1);
  EXPECT_EQ(read("[sweep]\ncrf = ['a',\n'b']\n"),
            (Texts{"2: crf: expected a whole number, got string",
                   "3: crf: expected a whole number, got string"}));
}

TEST_F(SweepFile, RangesThatAreNone) {
  const std::vector<std::pair<const char*, const char*>> ranges{
      {"from = 1, to = 2",
       "a range is { from = 1, to = 2, step = 0.5 } or { from = 1, to = 2, count = 3 }"},
      {"from = 1, to = 2, step = 1, count = 2",
       "a range is { from = 1, to = 2, step = 0.5 } or { from = 1, to = 2, count = 3 }"},
      {"from = 1, til = 2, step = 1", "unknown word til"},
      {"from = 1, to = 2, stp = 1", "unknown word stp: did you mean step?"},
      {"from = 1, to = 2, step = 0", "step is 0"},
      {"from = 1, to = 2, step = -1", "a step of -1 does not lead from 1 to 2"},
      {"from = 1, to = 2, step = 1e-9", "1 to 2 in steps of 1e-09 are more than 100000 values"},
      {"from = -1e308, to = 1e308, step = 1",
       "-1e+308 to 1e+308 in steps of 1 are more than 100000 values"},
      {"from = 1, to = inf, step = 1", "inf is not a finite number"},
      {"from = nan, to = 2, count = 3", "nan is not a finite number"},
      {"from = 1, to = 2, count = 1", "count is 1: expected 2 to 100000"},
      {"from = 1, to = 2, count = 1000000000000", "count is 1000000000000: expected 2 to 100000"},
      {"from = 1, to = 2, count = 2.0", "count: expected a whole number"},
      {"from = 'a', to = 2, step = 1", "from: expected a number, got string"},
      {"from = 1, to = 9223372036854775807, step = 1",
       "to: a range is within -2^53 ... 2^53: list the numbers"}};
  for (const auto& [range, problem] : ranges) {
    EXPECT_EQ(read(fmt::format("[sweep]\nfps = {{ {} }}\n", range)),
              Texts{fmt::format("2: fps: {}", problem)});
  }
}

TEST_F(SweepFile, WholeSweepsThatAreNone) {
  EXPECT_EQ(read(""), Texts{" nothing to sweep: give keys lists of values in [sweep]"});
  EXPECT_EQ(read("base = 3\n"), (Texts{"1: base: expected a section: [base]",
                                       " nothing to sweep: give keys lists of values in [sweep]"}));
  EXPECT_EQ(
      read("[sweep]\nseed = { from = 1, to = 400, step = 1 }\nfps = { from = 1, to = 300, step = "
           "1 }\ncrf = [1, 2]\n"),
      Texts{" 400 x 300 x 2 = 240000 points: at most 100000"});
  defaults_ = {};
  EXPECT_EQ(read("[sweep]\nseed = [1]\n"),
            (Texts{" model: missing: name the model's folder in [base]",
                   " prompt: missing: say what to draw in [base]"}));
  EXPECT_EQ(read("[sweep]\nprompt = ['a']\nmodel = ['m']\n"), none);
  EXPECT_EQ(read("[sweep]\nprompt = ['a']\nmodel = ['']\n"), Texts{"3: model: is empty"});
  const Texts broken = read("[sweep\n");
  ASSERT_EQ(broken.size(), 1);
  EXPECT_TRUE(broken[0].starts_with("1: not valid TOML: ")) << broken[0];
}

TEST_F(SweepFile, ListsFiftyProblems) {
  const Texts problems = read("[sweep]\nwidth = { from = 1, to = 15, count = 1000 }\n");
  ASSERT_EQ(problems.size(), 51);
  EXPECT_EQ(problems[50], " ... and 950 more");
}

// ---- in words --------------------------------------------------------------------------------

TEST_F(SweepFile, DescribesAxesAndPoints) {
  ASSERT_EQ(read("[sweep]\ncrf = [3, 10]\nprompt = ['a', \"日\\n本\"]\n"), none);
  EXPECT_EQ(describe(sweep_),
            "4 points, last axis fastest:\n"
            "  crf: 2 values: 3, 10\n"
            "  prompt: 2 values: a, 日\\n本\n"
            "\n"
            "  point  crf  prompt  id\n"
            "  1      3    a       crf-3_prompt-a\n"
            "  2      3    日\\n本    " +
                ids()[1] +
                "\n"
                "  3      10   a       crf-10_prompt-a\n"
                "  4      10   日\\n本    " +
                ids()[3] + "\n");
  ASSERT_EQ(
      read(
          "[zip]\nseed = { from = 1, to = 60, step = 1 }\nfps = { from = 1, to = 60, step = 1 }\n"),
      none);
  const std::string text = describe(sweep_);
  EXPECT_NE(text.find("  seed + fps: 60 values: 1 + 1, 2 + 2,"), std::string::npos) << text;
  EXPECT_NE(text.find("\n  50 "), std::string::npos);
  EXPECT_EQ(text.find("\n  51 "), std::string::npos);
  EXPECT_TRUE(text.ends_with("  ... and 10 more\n"));
}

// ---- anything at all -------------------------------------------------------------------------

TEST_F(SweepFile, RandomTextOnlyEverGivesProblems) {
  const Texts words{"[base]\n",
                    "[sweep]\n",
                    "[zip]\n",
                    "seed = ",
                    "prompt = ",
                    "fps = ",
                    "[1, 2]\n",
                    "['a', 'b']\n",
                    "{ from = 1, to = 3, step = 1 }\n",
                    "{ from = 0.1, to = 1e300, count = 3 }\n",
                    "{ from = ",
                    "to = ",
                    "step = ",
                    ", ",
                    "}\n",
                    "-",
                    "1e-320",
                    "0.1",
                    "inf",
                    "[",
                    "]",
                    "\"",
                    "'''",
                    "\n",
                    "=",
                    "1",
                    "9223372036854775807",
                    "\\",
                    ".",
                    "#",
                    "07:32:00"};
  const Texts lines{"seed = [1, 2]\n", "prompt = ['a', 'b']\n", "[zip]\n", "crf = [1]\n",
                    "fps = { from = 0.1, to = 0.3, step = 0.1 }\n"};
  std::mt19937 random(11);
  int sound = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = round % 2 == 0 ? "[sweep]\n" : "";
    const auto length = random() % 12;
    for (unsigned i = 0; i < length; ++i) {
      if (random() % 3 == 0) text += lines[random() % lines.size()];
      if (random() % 2 == 0) continue;
      text += random() % 20 == 0 ? std::string(1, static_cast<char>(random()))
                                 : words[random() % words.size()];
    }
    const bool fine = read(text).empty();
    EXPECT_EQ(fine, !sweep_.points.empty()) << text;
    sound += fine ? 1 : 0;
  }
  EXPECT_GT(sound, 10);  // the words do make sweeps now and then
}

}  // namespace
}  // namespace weft
