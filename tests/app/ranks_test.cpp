// The picture does not depend on the number of ranks or threads: the same job gives the same bytes.
#include <gtest/gtest.h>

#include "program.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

class Ranks : public testing::Test {
 protected:
  /// The clip's bytes (uncompressed y4m) on `ranks` ranks.
  std::string render(Words words, int ranks) {
    const fs::path clip = folder_.path() / "clip.y4m";
    fs::remove(clip);
    words.insert(words.begin(), "render");
    words.insert(words.end(), {"-o", clip.string(), "--record", "none", "--quiet"});
    const Outcome ran = run_weft(words, ranks);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return read_file(clip);
  }
  void expect_equal_on(const Words& words, const std::vector<int>& ranks) {
    const std::string one = render(words, 1);
    ASSERT_GT(one.size(), 1000U);
    for (const int n : ranks) EXPECT_TRUE(render(words, n) == one) << n << " ranks";
  }
  TempFolder folder_;
};

const Words small{
    "--model", golden_model("tiny-wan21"), "--prompt", "a red balloon", "--height", "64", "--steps",
    "3"};

Words with(Words base, const Words& more) {
  base.insert(base.end(), more.begin(), more.end());
  return base;
}

TEST_F(Ranks, WindowsInSpaceAndTime) {
  expect_equal_on(with(small, {"--width", "192", "--frames", "17", "--window", "64x64x9"}),
                  {2, 3, 4, 7});
}

TEST_F(Ranks, Storyboard) {  // windows of 5 frames from 0, 4, 8 and 12: middles 2, 6, 10 and 14
  const Words one_scene =
      with(small, {"--width", "64", "--frames", "17", "--window", "64x64x5", "--overlap", "0.5"});
  const Words scenes = with(one_scene, {"--storyboard", "6: a moon | 11: the sea"});
  expect_equal_on(scenes, {2, 3});
  EXPECT_FALSE(render(scenes, 2) == render(one_scene, 2));  // the later prompts are drawn
}

TEST_F(Ranks, OneWindowAndShardedDecode) {
  expect_equal_on(with(small, {"--width", "96", "--frames", "21"}), {2, 3, 4, 7});
}

TEST_F(Ranks, BlendedDecodeTiles) {
  expect_equal_on(with(small, {"--width", "544", "--frames", "5", "--decode", "tiles"}), {2, 3, 7});
}

TEST_F(Ranks, PhiloxNoiseAndEuler) {
  expect_equal_on(with(small, {"--width", "128", "--frames", "9", "--window", "64x64x9", "--noise",
                               "philox", "--sampler", "euler"}),
                  {3});
}

TEST_F(Ranks, TwoExperts) {
  expect_equal_on({"--model", golden_model("tiny-wan22-a14b-sharded"), "--prompt", "sea", "--width",
                   "128", "--height", "48", "--frames", "5", "--steps", "6", "--window", "64x48x5"},
                  {2, 3});
}

TEST_F(Ranks, FirstFrameGiven) {
  expect_equal_on({"--model", golden_model("tiny-wan22-5b"), "--prompt", "boat", "--width", "128",
                   "--height", "64", "--frames", "17", "--steps", "3", "--window", "64x64x9",
                   "--image", std::string(WEFT_TEST_DATA) + "/app/first_frame.png"},
                  {2, 4});
}

TEST_F(Ranks, OneFrameOnMoreRanksThanWork) {
  expect_equal_on(with(small, {"--width", "64", "--frames", "1"}), {5});
}

TEST_F(Ranks, Threads) {
  const Words words = with(small, {"--width", "96", "--frames", "9"});
  const std::string one = render(with(words, {"--threads", "1"}), 1);
  EXPECT_TRUE(render(with(words, {"--threads", "2"}), 1) == one);
  EXPECT_TRUE(render(with(words, {"--threads", "5"}), 1) == one);
}

TEST_F(Ranks, AnotherSeedIsAnotherClip) {  // the comparisons above could tell
  const Words words = with(small, {"--width", "96", "--frames", "5"});
  EXPECT_FALSE(render(with(words, {"--seed", "1"}), 1) == render(with(words, {"--seed", "2"}), 1));
}

}  // namespace
}  // namespace weft::test
