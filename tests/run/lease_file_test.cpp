#include "../../src/run/lease_file.h"

#include <fstream>

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

std::string content_of(const fs::path& path) {
  const auto file = read_file(path);
  return file ? file->content : "nothing";
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(LeaseFile, CreatedOnceAndWhole) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "f";
  EXPECT_TRUE(create_exclusively(path, "first"));
  EXPECT_FALSE(create_exclusively(path, "second"));
  EXPECT_EQ(content_of(path), "first");
  replace_file(path, "third");
  EXPECT_EQ(content_of(path), "third");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

// What is rewritten through the handle is the file, not whatever has its name by then.
TEST(LeaseFile, TheHandleFollowsTheFile) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "f";
  const auto mine = create_exclusively(path, "mine");
  fs::rename(path, folder.path() / "aside");
  put(path, "another's");
  write_file(mine->get(), "beat", path);
  EXPECT_EQ(content_of(path), "another's");
  EXPECT_EQ(content_of(folder.path() / "aside"), "beat");
}

// Catches: unlink after a look (it would remove what came in between), or no putting back.
TEST(LeaseFile, AFileThatCameInBetweenIsPutBack) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "f";
  put(path, "stale");
  int looks = 0;
  const bool removed = remove_if(path, [&](const FileSeen& file) {
    const bool right = file.content == "stale";
    // Between the look and the rename another one takes over.
    if (++looks == 1) replace_file(path, "living");
    return right;
  });
  EXPECT_FALSE(removed);
  EXPECT_EQ(content_of(path), "living");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

// Catches: rename() for putting back, which would destroy a third one's file.
TEST(LeaseFile, PuttingBackReplacesNothing) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "f";
  put(path, "stale");
  int looks = 0;
  const bool removed = remove_if(path, [&](const FileSeen& file) {
    const bool right = file.content == "stale";
    if (++looks == 1) replace_file(path, "second");
    if (looks == 2) put(path, "third");  // while the second is aside
    return right;
  });
  EXPECT_FALSE(removed);
  EXPECT_EQ(content_of(path), "third");
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(LeaseFile, WhatIsNotThereIsNotRemoved) {
  const test::TempFolder folder;
  EXPECT_FALSE(remove_if(folder.path() / "f", [](const FileSeen&) { return true; }));
}

}  // namespace
}  // namespace weft
