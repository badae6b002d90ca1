// A file that is cut short while it is mapped.
#include <csignal>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "weft/io/safetensors.h"

#include "support/temp_folder.h"

namespace weft {
namespace {

using test::TempFolder;

// Reads a weight whose pages are gone.
void read_after_truncation(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::filesystem::resize_file(path, 4096);
  const StoredTensor& stored = file.tensors().at("w");
  std::vector<float> values(static_cast<std::size_t>(stored.shape.numel()));
  convert_to_f32(stored, values.data());
}

// Would catch a handler that is not installed, or a range that does not reach the file's end: the
// process would die of the signal without a word.
TEST(MappedFile, ACutFileIsNamed) {
  const TempFolder folder;
  const auto path = folder.path() / "cut.safetensors";
  write_safetensors(path, {{"w", Tensor::zeros({100000})}});
  EXPECT_EXIT(read_after_truncation(path), ::testing::ExitedWithCode(1),
              "error: .*cut.safetensors: a part of it can no longer be read");
}

// A bus error elsewhere must still end the process as it would have: by the signal, or by the
// report of a sanitizer. Would catch a handler that swallows it.
TEST(MappedFile, OtherFaultsKeepTheirWay) {
  const TempFolder folder;
  const auto path = folder.path() / "whole.safetensors";
  write_safetensors(path, {{"w", Tensor::zeros({10})}});
  const SafetensorsFile installed(path);
  const auto ended = [](int status) { return WIFSIGNALED(status) || WEXITSTATUS(status) != 0; };
  EXPECT_EXIT(std::raise(SIGBUS), ended, "");
}

TEST(MappedFile, StampsTellFilesApart) {
  const TempFolder folder;
  const auto path = folder.path() / "a.safetensors";
  write_safetensors(path, {{"w", Tensor::zeros({10})}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.stamp(), FileStamp::of(path));
  std::filesystem::last_write_time(
      path, std::filesystem::last_write_time(path) + std::chrono::milliseconds(5));
  EXPECT_NE(file.stamp(), FileStamp::of(path));
  EXPECT_THROW(FileStamp::of(folder.path() / "absent"), Error);
  EXPECT_EQ((FileStamp{12, 86'400'000'000'000}.str()), "12 bytes of 1970-01-02 00:00:00 UTC");
}

}  // namespace
}  // namespace weft
