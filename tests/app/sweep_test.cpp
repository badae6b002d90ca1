// A sweep from its file to the table and the sheet.
#include <regex>

#include <gtest/gtest.h>

#include "weft/io/flow_meter.h"
#include "weft/io/image.h"

#include "program.h"

namespace weft::test {
namespace {

class SweepCommand : public testing::Test {
 protected:
  Outcome sweep(const std::string& axes, const std::vector<std::string>& more = {}, int ranks = 0) {
    const fs::path file = folder_.path() / "sweep.toml";
    std::ofstream(file) << "[base]\nmodel = \"" << golden_model("tiny-wan21")
                        << "\"\nprompt = \"kite\"\nwidth = 64\nheight = 64\nframes = 5\n"
                        << "steps = 2\n"
                        << axes;
    std::vector<std::string> words{"sweep", file.string(), "-o", out().string(), "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    return run_weft(words, ranks);
  }
  [[nodiscard]] fs::path out() const { return folder_.path() / "out"; }
  TempFolder folder_;
};

/// Bytes of a part of a picture.
std::vector<std::uint8_t> part(const Image& image, std::int64_t left, std::int64_t top,
                               std::int64_t width, std::int64_t height) {
  std::vector<std::uint8_t> made;
  for (std::int64_t y = top; y < top + height; ++y) {
    const auto row = image.rgb.begin() + (y * image.width + left) * 3;
    made.insert(made.end(), row, row + width * 3);
  }
  return made;
}

// Would catch: cells in the wrong place (rows and columns swapped), or all of one clip.
TEST_F(SweepCommand, TableAndSheetOfTwoAxes) {
  const Outcome ran = sweep("[sweep]\nprompt = [\"kite, red\", \"sea\"]\nseed = [1, 2, 3]\n",
                            {"--ranks-per-job", "1"}, 2);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const std::string table = read_file(out() / "table.csv");
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 7) << table;
  EXPECT_TRUE(table.starts_with("id,prompt,seed,frames,wall_seconds,denoise_seconds,")) << table;
  EXPECT_NE(table.find(",\"kite, red\",3,5,"), std::string::npos) << table;

  // Six points: three frames of 64 pixels each; gaps of 4; cells end at the right and lower edge.
  const Image sheet = read_image(out() / "sheet.png");
  const std::int64_t cell_width = 3 * 64 + 4, cell_height = 64 + 4;
  const std::int64_t left = sheet.width - 3 * cell_width, top = sheet.height - 2 * cell_height;
  ASSERT_GT(left, 0);
  ASSERT_GT(top, 0);
  std::vector<std::vector<std::uint8_t>> cells;
  for (std::int64_t row = 0; row < 2; ++row) {
    for (std::int64_t col = 0; col < 3; ++col) {
      cells.push_back(part(sheet, left + col * cell_width, top + row * cell_height, 64, 64));
    }
  }
  for (std::size_t a = 0; a < cells.size(); ++a) {
    for (std::size_t b = a + 1; b < cells.size(); ++b) EXPECT_FALSE(cells[a] == cells[b]);
  }
  // The same prompt and seed in another arrangement: rows become columns.
  fs::rename(out(), folder_.path() / "first");
  const bool measures = FlowMeter::available();
  ASSERT_EQ(sweep("[sweep]\nseed = [1, 2, 3]\nprompt = [\"kite, red\", \"sea\"]\n",
                  {measures ? "--quality-figures" : "--no-quality-figures"})
                .exit_code,
            0);
  const std::regex row_end(measures ? ",\\d\\.\\d{4}e-\\d\\d,[^,]+\\.mp4\r\n"
                                    : ",,[^,]+\\.mp4\r\n");
  const std::string figures = read_file(out() / "table.csv");
  EXPECT_EQ(std::distance(std::sregex_iterator(figures.begin(), figures.end(), row_end), {}), 6)
      << figures;
  const Image turned = read_image(out() / "sheet.png");
  const std::int64_t x = turned.width - 2 * cell_width, y = turned.height - 3 * cell_height;
  for (std::int64_t row = 0; row < 3; ++row) {
    for (std::int64_t col = 0; col < 2; ++col) {
      EXPECT_TRUE(part(turned, x + col * cell_width, y + row * cell_height, 64, 64) ==
                  cells[static_cast<std::size_t>(col * 3 + row)])
          << row << " " << col;
    }
  }
  // Labels: something light stands above the cells and beside them.
  const auto light = [](const std::vector<std::uint8_t>& bytes) {
    return std::count_if(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b > 0xC0; });
  };
  EXPECT_GT(light(part(sheet, left, 0, 64, top)), 20);
  EXPECT_GT(light(part(sheet, 0, top, left, 64)), 20);
}

TEST_F(SweepCommand, DryRunAndProblems) {
  const Outcome dry = sweep("[sweep]\nseed = [1, 2, 3]\n", {"--dry-run"});
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_NE(dry.out.find("3 points"), std::string::npos) << dry.out;
  const Outcome bad = sweep("[sweep]\nwidth = [64, 100]\nfps = [0]\n", {"--attempts", "0"});
  EXPECT_EQ(bad.exit_code, 2);
  for (const char* words : {"width: 100", "fps", "attempts"}) {
    EXPECT_NE(bad.err.find(words), std::string::npos) << words << " in " << bad.err;
  }
  EXPECT_FALSE(fs::exists(out()));
}

}  // namespace
}  // namespace weft::test
