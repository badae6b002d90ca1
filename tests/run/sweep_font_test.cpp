// The labels of a sheet.
#include <gtest/gtest.h>

#include "../../src/run/sweep_results_font.h"

namespace weft {
namespace {

using Lines = std::vector<std::string>;

TEST(SweepLabels, AreBrokenBetweenWords) {
  EXPECT_EQ(wrapped("a panda on a meadow", 12, 3), (Lines{"a panda on a", "meadow"}));
  EXPECT_EQ(wrapped("a panda on a meadow", 10, 3), (Lines{"a panda on", "a meadow"}));
  EXPECT_EQ(wrapped("a panda on a meadow", 19, 3), (Lines{"a panda on a meadow"}));
  EXPECT_EQ(wrapped("guidance-scale=3.75", 8, 3), (Lines{"guidance", "-scale=3", ".75"}));
  EXPECT_EQ(wrapped("a bbbbbbbbbbbb", 8, 3), (Lines{"a bbbbbb", "bbbbbb"}));
  EXPECT_EQ(wrapped("one two three four", 5, 2), (Lines{"one", "two.."}));
  EXPECT_EQ(wrapped("\u718a\u732b moves", 8, 2), (Lines{"?? moves"}));
  EXPECT_EQ(wrapped("", 8, 2), Lines{});
}

// Would catch: a p that stands as high as a capital P, letters that run into the next line.
TEST(SweepLabels, LettersGoBelowTheLineAndNotIntoTheNext) {
  const auto rows_of = [](char letter) {  // first and last row with ink
    Image image{.width = letter_width, .height = 3 * line_height, .rgb = {}};
    image.rgb.resize(static_cast<std::size_t>(image.width * image.height * 3));
    draw_text(image, 0, 0, std::string(1, letter), 1);
    std::pair<std::int64_t, std::int64_t> rows{-1, -1};
    for (std::int64_t y = 0; y < image.height; ++y) {
      for (std::int64_t x = 0; x < image.width; ++x) {
        if (image.rgb[static_cast<std::size_t>((y * image.width + x) * 3)] == 0) continue;
        if (rows.first < 0) rows.first = y;
        rows.second = y;
      }
    }
    return rows;
  };
  EXPECT_EQ(rows_of('P'), std::pair(std::int64_t{0}, std::int64_t{6}));
  EXPECT_EQ(rows_of('a'), std::pair(std::int64_t{2}, std::int64_t{6}));
  for (const char letter : std::string("gpqy")) {
    EXPECT_EQ(rows_of(letter), std::pair(std::int64_t{2}, std::int64_t{8})) << letter;
  }
  for (char letter = '!'; letter <= '~'; ++letter) {
    EXPECT_GE(rows_of(letter).first, 0) << letter;
    EXPECT_LT(rows_of(letter).second, line_height) << letter;
  }
}

}  // namespace
}  // namespace weft
