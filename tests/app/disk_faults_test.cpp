// Disks, folders and files that fail or change while the program works. (A disk that is full while
// the clip is written: output_test.cpp.)
#include <gtest/gtest.h>

#include "weft/base/error.h"

#include "running.h"

namespace weft::test {
namespace {

using Words = std::vector<std::string>;

class DiskFaults : public testing::Test {
 protected:
  [[nodiscard]] Words job(const std::string& clip, const Words& more = {}) const {
    Words words{"render",    "--model",  golden_model("tiny-wan21"),
                "--prompt",  "a kite",   "--width",
                "128",       "--height", "64",
                "--frames",  "9",        "--steps",
                "20",        "--record", "none",
                "--threads", "1",        "--no-metadata",
                "--verbose", "-o",       path(clip)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_.path() / name).string();
  }
  /// Shell words that put a file system of that size in place of a folder, which is made.
  [[nodiscard]] std::string mount(const std::string& folder, const std::string& options) const {
    const std::string at = shell_word(path(folder));
    return "mkdir -p " + at + " && mount -t tmpfs -o " + options + " none " + at + " && ";
  }
  static bool may_mount() {
    return std::system("unshare -m sh -c 'mount -t tmpfs none /mnt' 2>/dev/null") == 0;
  }
  [[nodiscard]] Words hidden_files() const {
    Words names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(".")) names.push_back(name);
    }
    return names;
  }
  fs::path copy_of_model(const std::string& name) {
    fs::copy(golden_model(name), folder_.path() / name, fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path() / name)) {
      fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::add);
    }
    return folder_.path() / name;
  }
  TempFolder folder_;
};

class FullDisk : public DiskFaults {
  void SetUp() override {
    if (!may_mount()) {
      GTEST_SKIP() << "this machine does not let us mount a small file system (unshare -m)";
    }
  }
};

TEST_F(FullDisk, FullWhileACheckpointIsWrittenIsToldAndTheClipGoesOn) {
  const Words words = job("clip.mp4", {"--checkpoint-every", "0.05s"});
  // Room for the lease, not for a state.
  const Outcome ran =
      run_weft(words, 2, mount("clip.weft", "size=16k"),
               "; code=$?; ls -A " + shell_word(path("clip.weft")) + "; exit $code");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.err.find("no checkpoint after step "), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("is the disk or quota full?"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.out.find(".tmp"), std::string::npos) << "left behind: " << ran.out;
  ASSERT_EQ(run_weft(job("other.mp4")).exit_code, 0);
  EXPECT_TRUE(read_file(path("clip.mp4")) == read_file(path("other.mp4")));
}

// Would catch: "stopped with a checkpoint" where there is none.
TEST_F(FullDisk, FullWhenToldToStopIsAFailure) {
  const Outcome ran = run_weft(job("clip.mp4", {"--time-limit", "1s", "--steps", "1000"}), 2,
                               mount("clip.weft", "size=16k"));
  EXPECT_EQ(ran.exit_code, 1) << ran.err;
  EXPECT_NE(ran.err.find("the state of the job could not be kept"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find("run the same command again"), std::string::npos) << ran.err;
}

TEST_F(FullDisk, FullWhileTheRecordIsWrittenLeavesTheClipAndNoRecord) {
  const Outcome ran =
      run_weft(job("clip.mp4", {"--record", path("small/clip.h5")}), 2, mount("small", "size=4k"),
               "; code=$?; ls -A " + shell_word(path("small")) + "; exit $code");
  EXPECT_EQ(ran.exit_code, 1) << ran.err;
  EXPECT_NE(ran.err.find("clip.h5"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("No space left"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.out, "") << "left behind";
  ASSERT_EQ(run_weft(job("other.mp4")).exit_code, 0);
  EXPECT_TRUE(read_file(path("clip.mp4")) == read_file(path("other.mp4")));
  // The next attempt need not denoise again.
  const Outcome again = run_weft(job("clip.mp4", {"--record", path("clip.h5")}));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.err.find("going on after step 20 of 20"), std::string::npos) << again.err;
}

TEST_F(FullDisk, ReadOnlyOutputIsToldBeforeAnything) {
  const Outcome ran = run_weft(job("disk/clip.mp4"), 2, mount("disk", "ro"));
  EXPECT_EQ(ran.exit_code, 2) << ran.err;
  EXPECT_NE(ran.err.find("Read-only file system"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find(path("disk")), std::string::npos) << ran.err;
  std::ofstream(path("list.csv")) << "prompt\na kite\n";
  const Outcome batch = run_weft(
      {"batch", path("list.csv"), "--model", golden_model("tiny-wan21"), "-o", path("disk/clips")},
      0, mount("disk", "ro"));
  EXPECT_EQ(batch.exit_code, 2) << batch.err;
  EXPECT_NE(batch.err.find("Read-only file system"), std::string::npos) << batch.err;
}

TEST_F(DiskFaults, AnOutputFolderDeletedDuringTheRun) {
  fs::create_directory(path("out"));
  Running running(job("out/clip.mp4", {"--steps", "400", "--checkpoint-every", "0.2s"}), 2);
  ASSERT_TRUE(running.says("denoise: step 40,")) << running.err();
  fs::remove_all(path("out"));
  const Outcome end = running.wait(60);
  EXPECT_EQ(end.exit_code, 1) << end.err;
  EXPECT_NE(end.err.find("no checkpoint after step "), std::string::npos) << end.err;
  EXPECT_NE(end.err.find("out/clip.mp4"), std::string::npos) << end.err;
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(DiskFaults, ABatchFolderDeletedDuringTheRun) {
  std::ofstream(path("list.csv")) << "id,prompt\na,a kite\nb,a heron\n";
  // Seconds of work, so that the lease is looked at before the clip is done.
  Running running({"batch", path("list.csv"), "--model", golden_model("tiny-wan21"), "--width",
                   "128", "--height", "128", "--frames", "9", "--steps", "1000", "--threads", "1",
                   "--verbose", "--lease-timeout", "2s", "-o", path("clips")});
  ASSERT_TRUE(running.says("denoise: step 40,")) << running.err();
  fs::remove_all(path("clips"));
  const Outcome end = running.wait(60);
  EXPECT_EQ(end.exit_code, 1) << end.err;
  EXPECT_NE(end.err.find("or its folder is gone"), std::string::npos) << end.err;
  EXPECT_NE(end.err.find("its folder jobs cannot be read"), std::string::npos) << end.err;
}

// The second expert is loaded when the first has done its steps.
TEST_F(DiskFaults, AModelFileCutOrChangedBetweenStartAndLoad) {
  for (const bool cut : {true, false}) {
    const fs::path model = copy_of_model("tiny-wan22-a14b-sharded");
    fs::path weights;
    for (const auto& entry : fs::directory_iterator(model / "transformer_2")) {
      if (entry.path().extension() == ".safetensors") weights = entry.path();
    }
    Running running(
        job("clip.mp4", {"--model", model.string(), "--height", "48", "--steps", "800"}), 2);
    ASSERT_TRUE(running.says("denoise: step 2,")) << running.err();
    if (cut) {
      fs::resize_file(weights, fs::file_size(weights) / 2);
    } else {  // the same size and a sound header
      std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(-8, std::ios::end);
      file.write("otherval", 8);
    }
    const Outcome end = running.wait(60);
    EXPECT_EQ(end.exit_code, 1) << end.err;
    EXPECT_NE(end.err.find(weights.string() + ": it has changed since the job was checked"),
              std::string::npos)
        << end.err;
    EXPECT_FALSE(fs::exists(path("clip.mp4")));
    EXPECT_TRUE(running.processes().empty());
    fs::remove_all(model);
    fs::remove_all(path("clip.weft"));
  }
}

TEST_F(DiskFaults, ACheckpointOfAnotherJobOrModelIsRefused) {
  const Words slow{"--steps", "1000", "--time-limit", "0.5s"};
  const Outcome stopped = run_weft(job("clip.mp4", slow));
  ASSERT_EQ(stopped.exit_code, 75) << stopped.err;
  const auto refused = [&](const Words& more) {
    Words words = slow;
    words.insert(words.end(), more.begin(), more.end());
    const Outcome ran = run_weft(job("clip.mp4", words), 2);
    EXPECT_EQ(ran.exit_code, 2) << ran.err;
    EXPECT_NE(ran.err.find("is the checkpoint of another job"), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("--no-resume"), std::string::npos) << ran.err;
    return ran.err;
  };
  const std::string prompt = refused({"--prompt", "a heron"});
  EXPECT_NE(prompt.find("prompt is \"a heron\", there \"a kite\""), std::string::npos) << prompt;
  const fs::path model = copy_of_model("tiny-wan21");
  const fs::path weights = model / "vae/diffusion_pytorch_model.safetensors";
  std::fstream(weights, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(-4, std::ios::end)
      .put('\0')
      .put('\0');
  const std::string other = refused({"--model", model.string()});
  EXPECT_NE(other.find("model is \""), std::string::npos) << other;
  // What is refused is still there for the job that it belongs to.
  const Outcome same = run_weft(job("clip.mp4", slow));
  EXPECT_EQ(same.exit_code, 75) << same.err;
  EXPECT_NE(same.err.find("going on after step "), std::string::npos) << same.err;
}

// Killed and told to stop while frames are decoded and encoded.
TEST_F(DiskFaults, AnInterruptedEncodeLeavesNoClipAndIsDoneAgain) {
  const Words longer{"--frames", "81", "--steps", "2", "--preset", "veryslow"};
  const Outcome whole = run_weft(job("undisturbed.mp4", longer));
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  for (const int signal : {SIGKILL, SIGTERM}) {
    Running running(job("clip.mp4", longer));
    ASSERT_TRUE(running.says("decode: chunk 3 of")) << running.err();
    ::kill(running.pid(), signal);
    const Outcome end = running.wait(60);
    EXPECT_EQ(end.exit_code, signal == SIGKILL ? 128 + SIGKILL : 75) << end.err;
    EXPECT_FALSE(fs::exists(path("clip.mp4")));
    if (signal == SIGKILL) {
      EXPECT_FALSE(hidden_files().empty());
    }
    const Outcome again = run_weft(job("clip.mp4", longer), 2);
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_NE(again.err.find("going on after step 2 of 2"), std::string::npos) << again.err;
    EXPECT_TRUE(read_file(path("clip.mp4")) == read_file(path("undisturbed.mp4")));
    EXPECT_EQ(hidden_files(), Words{}) << "left of the killed run";
    EXPECT_FALSE(fs::exists(path("clip.weft")));
    fs::remove(path("clip.mp4"));
  }
}

}  // namespace
}  // namespace weft::test
