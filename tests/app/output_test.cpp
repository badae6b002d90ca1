// What a render leaves behind, and what it does not when it fails.
#include <gtest/gtest.h>

#include "weft/io/image.h"
#include "weft/run/run_record.h"

#include "program.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

class Output : public testing::Test {
 protected:
  Outcome render(const std::string& name, const Words& more = {}, int ranks = 2) {
    Words words{"render",
                "--model",
                golden_model("tiny-wan21"),
                "--prompt",
                "a red balloon",
                "--width",
                "64",
                "--height",
                "64",
                "--frames",
                "9",
                "--steps",
                "2",
                "-o",
                (folder_.path() / name).string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words, ranks);
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      names.push_back(fs::relative(entry.path(), folder_.path()).string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  TempFolder folder_;
};

TEST_F(Output, ClipSheetAndRecord) {
  const Outcome ran = render("clip.mp4", {"--contact-sheet"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(files(), (Words{"clip.mp4", "clip.record.h5", "clip.sheet.png"}));
  EXPECT_NE(ran.out.find("denoise"), std::string::npos) << ran.out;  // the closing table
  EXPECT_GT(read_image(folder_.path() / "clip.sheet.png").width, 64);

  const RunRecord record = read_run_record(folder_.path() / "clip.record.h5");
  EXPECT_EQ(record.config_value("prompt"), "a red balloon");
  EXPECT_EQ(record.width, 64);
  EXPECT_EQ(record.frames_made, 9);
  EXPECT_EQ(record.ranks.size(), 2U);
  EXPECT_EQ(run_weft({"inspect", (folder_.path() / "clip.record.h5").string()}).exit_code, 0);
}

TEST_F(Output, PngSequence) {
  ASSERT_EQ(render("frames/%03d.png", {"--record", "none"}).exit_code, 0);
  const auto names = files();
  EXPECT_EQ(names.size(), 10U);  // nine frames and their folder
  EXPECT_EQ(read_image(folder_.path() / "frames/008.png").height, 64);
}

TEST_F(Output, MetadataCanBeLeftOut) {
  ASSERT_EQ(render("with.mkv").exit_code, 0);
  ASSERT_EQ(render("without.mkv", {"--no-metadata"}).exit_code, 0);
  EXPECT_NE(read_file(folder_.path() / "with.mkv").find("AI-generated"), std::string::npos);
  EXPECT_NE(read_file(folder_.path() / "with.mkv").find("a red balloon"), std::string::npos);
  EXPECT_EQ(read_file(folder_.path() / "without.mkv").find("AI-generated"), std::string::npos);
  EXPECT_EQ(read_file(folder_.path() / "without.mkv").find("a red balloon"), std::string::npos);
}

TEST_F(Output, SameJobSameFile) {
  ASSERT_EQ(render("a.mp4", {}, 1).exit_code, 0);
  ASSERT_EQ(render("b.mp4", {}, 3).exit_code, 0);
  EXPECT_TRUE(read_file(folder_.path() / "a.mp4") == read_file(folder_.path() / "b.mp4"));
}

TEST_F(Output, JobFileAndFlags) {
  std::ofstream(folder_.path() / "job.toml")
      << "prompt = \"a red balloon\"\nwidth = 64\nheight = 64\nframes = 9\nsteps = 5\n"
      << "model = \"" << golden_model("tiny-wan21") << "\"\n";
  const std::string job = (folder_.path() / "job.toml").string();
  const std::string clip = (folder_.path() / "job.y4m").string();
  const Outcome ran = run_weft({"render", "--job", job, "--steps", "2", "-o", clip});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  ASSERT_EQ(render("flags.y4m").exit_code, 0);
  EXPECT_TRUE(read_file(clip) == read_file(folder_.path() / "flags.y4m"));
}

class SmallDisk : public Output {
 protected:
  /// Renders onto a file system of 64 KiB in a mount namespace of its own, then lists what is
  /// there.
  Outcome render_there(const std::string& name, const Words& more) {
    const Words words{"render",
                      "--model",
                      golden_model("tiny-wan21"),
                      "--prompt",
                      "a red balloon",
                      "--width",
                      "128",
                      "--height",
                      "128",
                      "--frames",
                      "9",
                      "--steps",
                      "1",
                      "-o",
                      (folder_.path() / name).string()};
    Words all = words;
    all.insert(all.end(), more.begin(), more.end());
    return run_weft(all, 2, mount_ + " && ",
                    "; code=$?; ls -A " + folder_.path().string() + "; exit $code");
  }
  void SetUp() override {
    if (std::system(("unshare -m sh -c " + shell_word(mount_) + " 2>/dev/null").c_str()) != 0) {
      GTEST_SKIP() << "this machine does not let us mount a small file system (unshare -m)";
    }
  }
  const std::string mount_ =
      "mount -t tmpfs -o size=64k none " + shell_word(folder_.path().string());
};

TEST_F(SmallDisk, IsNoticedBeforeRendering) {
  const Outcome ran = render_there("clip.y4m", {});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_NE(ran.err.find("make room"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.out, "") << "left behind";
}

TEST_F(SmallDisk, FullWhileWritingLeavesNoClip) {
  const Outcome ran = render_there("clip.mkv", {"--crf", "0"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.err.find("clip.mkv"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("No space left"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.out, "") << "left behind";
}

TEST_F(Output, NanWeightsStopTheJobOnAllRanks) {
  fs::copy(golden_model("tiny-wan21"), folder_.path() / "model", fs::copy_options::recursive);
  const fs::path weights = folder_.path() / "model/transformer/diffusion_pytorch_model.safetensors";
  fs::permissions(weights, fs::perms::owner_write, fs::perm_options::add);
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-64, std::ios::end);
  for (int i = 0; i < 64; ++i) file.put('\xff');  // NaN in bfloat16
  file.close();
  const Outcome ran = render("clip.mp4", {"--model", (folder_.path() / "model").string()}, 3);
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.err.find("not finite after step 1"), std::string::npos) << ran.err;
  EXPECT_FALSE(fs::exists(folder_.path() / "clip.mp4"));
}

TEST_F(Output, PlanPrintsAndWritesNothing) {
  const Outcome ran =
      run_weft({"plan", "--model", golden_model("tiny-wan21"), "--prompt", "x", "--width", "256",
                "--height", "64", "--frames", "17", "--window", "64x64x9", "--ranks", "64"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.out.find("; on one rank "), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("idle"), std::string::npos);
  EXPECT_TRUE(files().empty());
}

}  // namespace
}  // namespace weft::test
