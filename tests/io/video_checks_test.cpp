#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "weft/io/video_encoder.h"

#include "support/temp_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

VideoOptions options_of(std::int64_t width, std::int64_t height) {
  VideoOptions options;
  options.width = width;
  options.height = height;
  return options;
}

std::ptrdiff_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), {});
}

std::vector<std::string> problems_of(const fs::path& path, const VideoOptions& options) {
  Problems problems;
  check_video_output(path, options, problems);
  return problems.list();
}

void expect_problem(const fs::path& path, const VideoOptions& options,
                    const std::vector<std::string>& words) {
  const auto list = problems_of(path, options);
  ASSERT_EQ(list.size(), 1U) << fmt::format("{}", fmt::join(list, "\n"));
  for (const auto& word : words) EXPECT_NE(list[0].find(word), std::string::npos) << list[0];
  EXPECT_THROW(open_video(path, options), InputError);
}

TEST(check_video_output, accepts_what_can_be_written_and_leaves_no_trace) {
  const test::TempFolder folder;
  for (const char* name :
       {"a.mp4", "50%.mov", "a.mkv", "a.y4m", "%05d.png", "%d.PNG", "x%%%3d.png", "made/%d.png"}) {
    EXPECT_EQ(problems_of(folder.path() / name, options_of(832, 480)), std::vector<std::string>{});
  }
  EXPECT_EQ(entries(folder.path()), 0);
}

TEST(check_video_output, names_what_is_wrong_with_the_path) {
  const test::TempFolder folder;
  const fs::path& top = folder.path();
  const VideoOptions good = options_of(32, 32);
  fs::create_directory(top / "folder.mp4");
  std::ofstream(top / "file") << "x";
  expect_problem(top / "absent" / "a.mp4", good, {"--output", "absent", "does not exist"});
  expect_problem(top / "absent" / "deeper" / "%d.png", good, {"--output", "does not exist"});
  expect_problem(top / "file" / "a.mp4", good, {"--output", "is not a folder"});
  expect_problem(top / "file" / "%d.png", good, {"--output", "is not a folder"});
  expect_problem(top / "folder.mp4", good, {"--output", "is a folder"});
  expect_problem(top / "a.avi", good, {"--output", "'.avi'", ".mp4 .mov .mkv .y4m"});
  expect_problem(top / "a", good, {"--output", "unknown extension"});
  expect_problem("", good, {"--output"});
  expect_problem(top / "", good, {"--output"});
  expect_problem("/proc/a.mp4", good, {"--output", "cannot write into the folder /proc"});
  expect_problem(top / (std::string(252, 'x') + ".mp4"), good, {"--output", "256 bytes"});
}

TEST(check_video_output, wants_one_frame_number_in_a_png_path) {
  const test::TempFolder folder;
  const VideoOptions good = options_of(32, 32);
  expect_problem(folder.path() / "a.png", good, {"--output", "no frame number", "%05d"});
  expect_problem(folder.path() / "%d_%d.png", good, {"--output", "2 frame numbers"});
  expect_problem(folder.path() / "%s.png", good, {"--output", "'%s'"});
  expect_problem(folder.path() / "%d%n.png", good, {"--output", "'%n'"});
  expect_problem(folder.path() / "%5.3d.png", good, {"--output", "'%5.'"});
  expect_problem(folder.path() / "a%d.png%", good, {"--output", "unknown extension"});
  expect_problem(folder.path() / "%999d.png", good, {"--output", "bytes"});
}

TEST(check_video_output, names_the_flag_of_a_bad_option) {
  const test::TempFolder folder;
  const fs::path mp4 = folder.path() / "a.mp4";
  const auto with = [](auto change) {
    VideoOptions options = options_of(32, 32);
    change(options);
    return options;
  };
  expect_problem(mp4, with([](auto& o) { o.crf = 52; }), {"--crf 52"});
  expect_problem(mp4, with([](auto& o) { o.crf = -1; }), {"--crf -1"});
  expect_problem(mp4, with([](auto& o) { o.preset = "quick"; }), {"--preset quick", "medium"});
  expect_problem(mp4, with([](auto& o) { o.pix_fmt = "rgb24"; }), {"--pix-fmt rgb24", "yuv444p"});
  expect_problem(mp4, with([](auto& o) { o.codec = "vp9"; }), {"--codec vp9", "ffv1"});
  expect_problem(mp4, with([](auto& o) { o.codec = "ffv1"; }), {"--codec ffv1", ".mkv"});
  for (const double fps : {0.0, -1.0, 1001.0, std::numeric_limits<double>::quiet_NaN(),
                           std::numeric_limits<double>::infinity()}) {
    expect_problem(mp4, with([&](auto& o) { o.fps = fps; }), {"--fps"});
  }
  expect_problem(mp4, with([](auto& o) { o.width = 33; }), {"--pix-fmt", "33x32", "odd"});
  expect_problem(mp4, with([](auto& o) { o.height = 33; }), {"--pix-fmt", "32x33", "odd"});
  expect_problem(mp4, with([](auto& o) { o.width = 33, o.pix_fmt = "yuv422p"; }), {"--pix-fmt"});
  expect_problem(mp4, with([](auto& o) { o.width = 0; }), {"--width 0"});
  EXPECT_TRUE(
      problems_of(mp4, with([](auto& o) { o.height = 33, o.pix_fmt = "yuv422p"; })).empty());
  EXPECT_TRUE(
      problems_of(mp4, with([](auto& o) { o.height = 33, o.pix_fmt = "yuv444p"; })).empty());
  EXPECT_TRUE(problems_of(folder.path() / "%d.png", with([](auto& o) { o.width = 33; })).empty());
}

TEST(check_video_output, lists_every_problem_at_once) {
  VideoOptions options = options_of(33, 32);
  options.crf = 99;
  options.preset = "quick";
  options.fps = 0;
  options.codec = "ffv1";
  options.pix_fmt = "grey";
  EXPECT_EQ(problems_of("absent/a.avi", options).size(), 6U);
}

}  // namespace
}  // namespace weft
