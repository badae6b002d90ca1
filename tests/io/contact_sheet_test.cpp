#include "weft/io/contact_sheet.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t background = 0x28;

// Every frame flat in its own grey, 100 + its index.
ContactSheet filled_sheet(std::int64_t width, std::int64_t height, std::int64_t frames,
                          int most_shown) {
  ContactSheet sheet(width, height, frames, most_shown);
  for (std::int64_t i = 0; i < frames; ++i) {
    sheet.add(
        i, Bytes(static_cast<std::size_t>(width * height * 3), static_cast<std::uint8_t>(100 + i)));
  }
  return sheet;
}

int value_at(const Image& image, std::int64_t x, std::int64_t y) {
  return image.rgb.at(static_cast<std::size_t>((y * image.width + x) * 3));
}

// The frame indices in the cells, in reading order.
std::vector<int> cells(const Image& picture, std::int64_t cell_width, std::int64_t cell_height) {
  std::vector<int> found;
  for (std::int64_t y = 4; y + cell_height <= picture.height; y += cell_height + 4) {
    for (std::int64_t x = 4; x + cell_width <= picture.width; x += cell_width + 4) {
      found.push_back(value_at(picture, x + cell_width / 2, y + cell_height / 2) - 100);
    }
  }
  return found;
}

TEST(contact_sheet, shows_evenly_spaced_frames_with_first_and_last) {
  EXPECT_EQ(cells(filled_sheet(16, 8, 81, 12).picture(), 16, 8),
            (std::vector<int>{0, 7, 15, 22, 29, 36, 44, 51, 58, 65, 73, 80}));
  EXPECT_EQ(cells(filled_sheet(16, 8, 9, 3).picture(), 16, 8),
            (std::vector<int>{0, 4, 8, background - 100}));
  EXPECT_EQ(cells(filled_sheet(16, 8, 4, 12).picture(), 16, 8), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(cells(filled_sheet(16, 8, 1, 12).picture(), 16, 8), (std::vector<int>{0}));
  EXPECT_EQ(cells(filled_sheet(16, 8, 5, 1).picture(), 16, 8), (std::vector<int>{0}));
}

TEST(contact_sheet, lays_cells_four_pixels_apart_on_dark_grey) {
  const Image picture = filled_sheet(16, 8, 4, 4).picture();
  EXPECT_EQ(picture.width, 4 + 2 * (16 + 4));
  EXPECT_EQ(picture.height, 4 + 2 * (8 + 4));
  EXPECT_EQ(picture.rgb.size(), static_cast<std::size_t>(picture.width * picture.height * 3));
  for (std::int64_t y = 0; y < picture.height; ++y) {
    for (std::int64_t x = 0; x < picture.width; ++x) {
      const bool inside = x % 20 >= 4 && y % 12 >= 4;
      const auto frame = static_cast<int>(y / 12 * 2 + x / 20);
      ASSERT_EQ(value_at(picture, x, y), inside ? 100 + frame : background) << x << "," << y;
    }
  }
}

TEST(contact_sheet, scales_wide_frames_to_320_pixels) {
  const Image picture = filled_sheet(832, 480, 2, 12).picture();
  EXPECT_EQ(picture.width, 4 + 2 * (320 + 4));
  EXPECT_EQ(picture.height, 4 + 185 + 4);  // 480 * 320 / 832 = 184.6
  EXPECT_EQ(cells(picture, 320, 185), (std::vector<int>{0, 1}));
}

TEST(contact_sheet, takes_frames_in_any_order_and_leaves_missing_ones_grey) {
  ContactSheet sheet(2, 2, 3, 2);
  sheet.add(2, Bytes(12, 7));
  EXPECT_EQ(cells(sheet.picture(), 2, 2), (std::vector<int>{background - 100, 7 - 100}));
  sheet.add(1, Bytes(12, 9));  // not shown
  sheet.add(0, Bytes(12, 8));
  EXPECT_EQ(cells(sheet.picture(), 2, 2), (std::vector<int>{8 - 100, 7 - 100}));
}

}  // namespace
}  // namespace weft
