// Lists of 100,000 lines and prompts of a megabyte: answered in bounded time, all at once.
#include <gtest/gtest.h>

#include "weft/base/error.h"

#include "running.h"

namespace weft::test {
namespace {

class LargeInput : public testing::Test {
 protected:
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_.path() / name).string();
  }
  Outcome dry_run(const std::string& list, double most_seconds) const {
    const double begin = seconds_now();
    const Outcome ran =
        run_weft({"batch", path(list), "--model", golden_model("tiny-wan21"), "--width", "64",
                  "--height", "64", "--frames", "5", "-o", path("clips"), "--dry-run"});
    EXPECT_LT(seconds_now() - begin, most_seconds);
    EXPECT_FALSE(fs::exists(path("clips")));
    return ran;
  }
  TempFolder folder_;
};

constexpr int lines = 100'000;

TEST_F(LargeInput, AListOf100000Lines) {
  std::ofstream list(path("list.csv"));
  list << "prompt,seed\n";
  for (int i = 0; i < lines; ++i) list << "a kite over hill " << i << ',' << i << '\n';
  list.close();
  const Outcome ran = dry_run("list.csv", 120);
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.out.find("100000 jobs, "), std::string::npos) << ran.out;
}

// Would catch: a problem a line on the terminal, or only the first one told.
TEST_F(LargeInput, AListOf100000WrongLines) {
  std::ofstream list(path("list.csv"));
  list << "prompt,seed\n";
  for (int i = 0; i < lines; ++i) list << "a kite,x" << i << '\n';
  list.close();
  const Outcome ran = dry_run("list.csv", 60);
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_NE(ran.err.find("list.csv:2: seed: \"x0\" is not "), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("list.csv:51: seed: \"x49\" is not "), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("99950 more"), std::string::npos) << ran.err;
  EXPECT_LT(ran.err.size(), 20'000U);
}

TEST_F(LargeInput, APromptOfAMegabyte) {
  const std::string prompt(1'000'000, 'x');
  std::ofstream(path("list.csv")) << "prompt\na kite\n" << prompt << "\n";
  std::ofstream(path("list.jsonl")) << "{\"prompt\": \"" << prompt << "\"}\n";
  std::ofstream(path("list.toml")) << "[[job]]\nprompt = \"" << prompt << "\"\n";
  std::ofstream(path("job.toml")) << "prompt = \"" << prompt << "\"\n";
  for (const auto& [list, where] : {std::pair{"list.csv", "list.csv:3: prompt: "},
                                    std::pair{"list.jsonl", "list.jsonl:1: prompt: "},
                                    std::pair{"list.toml", "list.toml:2: prompt: "}}) {
    const Outcome ran = dry_run(list, 30);
    EXPECT_EQ(ran.exit_code, 2);
    EXPECT_NE(ran.err.find(where), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("1000000 bytes"), std::string::npos) << ran.err;
    EXPECT_LT(ran.err.size(), 2000U);
  }
  const Outcome ran = run_weft({"render", "--model", golden_model("tiny-wan21"), "--job",
                                path("job.toml"), "-o", path("clip.mp4")},
                               2);
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_NE(ran.err.find("job.toml:1: prompt: "), std::string::npos) << ran.err;
  EXPECT_LT(ran.err.size(), 2000U);
  EXPECT_FALSE(fs::exists(path("clip.mp4")));
}

}  // namespace
}  // namespace weft::test
