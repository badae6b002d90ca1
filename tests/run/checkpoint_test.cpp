// The files of a checkpoint: whole, of this job, or told apart from it.
#include "weft/run/checkpoint.h"

#include <csignal>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "support/temp_folder.h"

namespace weft::test {
namespace {
namespace fs = std::filesystem;

const JobIdentity identity{
    {"prompt", "a kite"}, {"seed", "7"}, {"model", "0123456789abcdef"}, {"version", "1.0"}};

JobIdentity with(const std::string& name, const std::string& value) {
  JobIdentity changed = identity;
  for (auto& [key, is] : changed) {
    if (key == name) is = value;
  }
  return changed;
}

DenoiseState state_after(int steps) {
  WindowState window{.window = 3, .tensors = {}, .integers = {{"order", 2}}};
  const Tensor latents = Tensor::empty({16, 3, 8, 8});
  for (std::size_t i = 0; i < latents.span().size(); ++i) {
    latents.span()[i] = static_cast<float>(i) / static_cast<float>(steps);
  }
  window.tensors = {{"latents", latents}, {"previous", Tensor()}};
  return {.steps_done = steps, .windows = {window}};
}

class Checkpoint : public testing::Test {
 protected:
  [[nodiscard]] CheckpointFiles files(const JobIdentity& of = identity) const {
    return {folder_.path() / "checkpoint.h5", of};
  }
  /// Steps of what would be gone on from, -1 for nothing, with what was logged.
  int read(std::string& log) const {
    testing::internal::CaptureStderr();
    const auto state = files().read();
    log = testing::internal::GetCapturedStderr();
    return state ? state->steps_done : -1;
  }
  void damage(const fs::path& file, std::uintmax_t at) const {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(static_cast<std::streamoff>(at));
    const int was = bytes.get();
    bytes.seekp(static_cast<std::streamoff>(at));
    bytes.put(static_cast<char>(was ^ 0x55));
  }
  TempFolder folder_;
  const fs::path newest_ = folder_.path() / "checkpoint.h5";
  const fs::path previous_ = folder_.path() / "checkpoint.h5.previous";
};

TEST_F(Checkpoint, ComesBackAsItWas) {
  std::string log;
  EXPECT_EQ(read(log), -1);
  files().write(state_after(4));
  const auto back = files().read();
  ASSERT_TRUE(back);
  ASSERT_EQ(back->windows.size(), 1U);
  const WindowState& window = back->windows[0];
  EXPECT_EQ(window.window, 3);
  EXPECT_EQ(window.integers, state_after(4).windows[0].integers);
  ASSERT_EQ(window.tensors.size(), 2U);
  EXPECT_TRUE(std::ranges::equal(window.tensors[0].second.span(),
                                 state_after(4).windows[0].tensors[0].second.span()));
  EXPECT_FALSE(window.tensors[1].second.defined());
}

// At every place of the file, cut off at several, and with nothing in it.
TEST_F(Checkpoint, ADamagedNewestFallsBackWithAWarning) {
  files().write(state_after(4));
  files().write(state_after(8));
  const fs::path whole = folder_.path() / "whole";
  fs::copy_file(newest_, whole);
  const std::uintmax_t size = fs::file_size(whole);
  const auto expect_fall_back = [&](const std::string& how) {
    std::string log;
    const int steps = read(log);
    if (steps == 8) return false;  // a byte that means nothing
    EXPECT_EQ(steps, 4) << how;
    EXPECT_NE(log.find("the checkpoint cannot be used: "), std::string::npos) << how << log;
    EXPECT_NE(log.find("going on from the checkpoint before it"), std::string::npos) << how << log;
    return true;
  };
  int noticed = 0, places = 0;
  for (std::uintmax_t at = 0; at < size; at += 97) {
    fs::copy_file(whole, newest_, fs::copy_options::overwrite_existing);
    damage(newest_, at);
    noticed += expect_fall_back(fmt::format("byte {} changed\n", at)) ? 1 : 0;
    ++places;
  }
  EXPECT_GT(noticed, places / 2) << places;  // the rest is room that HDF5 leaves between objects
  for (const std::uintmax_t length : {std::uintmax_t{0}, std::uintmax_t{1}, size / 2, size - 1}) {
    fs::copy_file(whole, newest_, fs::copy_options::overwrite_existing);
    fs::resize_file(newest_, length);
    EXPECT_TRUE(expect_fall_back(fmt::format("cut to {} bytes\n", length)));
  }
  std::ofstream(previous_) << "neither";
  std::string log;
  EXPECT_EQ(read(log), -1);  // from the start, and said so twice
  EXPECT_NE(log.find("checkpoint.h5.previous"), std::string::npos) << log;
}

TEST_F(Checkpoint, OfAnotherJobModelOrVersionIsRefusedAndSaysWhy) {
  files().write(state_after(4));
  const auto refusal = [](const CheckpointFiles& of) -> std::string {
    std::string said;
    try {
      static_cast<void>(of.read());
      said = "read() took it";
    } catch (const InputError& e) {
      said = e.what();
    }
    try {
      of.check();
      return "check() took it";
    } catch (const InputError& e) {
      EXPECT_EQ(said, e.what());
    }
    return said;
  };
  for (const auto& [name, value] :
       {std::pair{"prompt", "a heron"}, std::pair{"seed", "8"},
        std::pair{"model", "fedcba9876543210"}, std::pair{"version", "2.0"}}) {
    const std::string said = refusal(files(with(name, value)));
    EXPECT_NE(said.find("is the checkpoint of another job"), std::string::npos) << said;
    EXPECT_NE(said.find(fmt::format("{} is \"{}\", there \"", name, value)), std::string::npos)
        << said;
    EXPECT_NE(said.find("--no-resume"), std::string::npos) << said;
  }
  // A key that an older version did not know.
  JobIdentity more = identity;
  more.emplace_back("window-shift", "true");
  EXPECT_NE(refusal(files(more)).find("window-shift is \"true\", there \"\""), std::string::npos);
  EXPECT_NO_THROW(files().check());
}

// Also one that failed before: neither of the two files may be lost to it.
TEST_F(Checkpoint, AFullDiskLeavesBothFiles) {
  files().write(state_after(4));
  files().write(state_after(8));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1024, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string said;
  try {
    files().write(state_after(12));
  } catch (const Error& e) {
    said = e.what();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(said.find("is the disk or quota full"), std::string::npos) << said;
  std::string log;
  EXPECT_EQ(read(log), 8);
  fs::remove(newest_);
  EXPECT_EQ(read(log), 4);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(Checkpoint, KilledBetweenTheTwoRenames) {
  files().write(state_after(4));
  fs::rename(newest_, previous_);
  std::string log;
  EXPECT_EQ(read(log), 4);
  EXPECT_EQ(log, "");
}

}  // namespace
}  // namespace weft::test
