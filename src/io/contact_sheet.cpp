#include "weft/io/contact_sheet.h"

#include <algorithm>
#include <cmath>

#include "weft/base/error.h"

namespace weft {
namespace {

constexpr std::int64_t most_cell_width = 320, gap = 4;
constexpr std::uint8_t dark_grey = 0x28;

struct Cell {
  std::int64_t width, height;
};

// Wide frames are scaled down, small ones shown as they are.
Cell cell_of(std::int64_t width, std::int64_t height) {
  const std::int64_t cell_width = std::min(width, most_cell_width);
  return {cell_width, std::max<std::int64_t>(1, (height * cell_width + width / 2) / width)};
}

}  // namespace

ContactSheet::ContactSheet(std::int64_t width, std::int64_t height, std::int64_t frames,
                           int most_shown)
    : width_(width), height_(height) {
  WEFT_ASSERT(width > 0 && height > 0 && frames > 0 && most_shown > 0,
              "a contact sheet of {} of {} frames of {}x{}", most_shown, frames, width, height);
  const std::int64_t shown = std::min<std::int64_t>(frames, most_shown);
  const std::int64_t steps = std::max<std::int64_t>(shown - 1, 1);
  for (std::int64_t i = 0; i < shown; ++i) {
    shown_.push_back((i * (frames - 1) + steps / 2) / steps);  // first and last are among them
  }
  frames_.resize(shown_.size());
}

void ContactSheet::add(std::int64_t index, std::span<const std::uint8_t> rgb) {
  WEFT_ASSERT(rgb.size() == static_cast<std::size_t>(width_ * height_ * 3),
              "a frame of {} bytes for {}x{}", rgb.size(), width_, height_);
  const auto found = std::lower_bound(shown_.begin(), shown_.end(), index);
  if (found == shown_.end() || *found != index) return;
  const Image frame{width_, height_, {rgb.begin(), rgb.end()}};
  const Cell cell = cell_of(width_, height_);
  frames_[static_cast<std::size_t>(found - shown_.begin())] =
      resize_lanczos(frame, cell.width, cell.height);
}

Image ContactSheet::picture() const {
  const Cell cell = cell_of(width_, height_);
  const auto count = static_cast<std::int64_t>(frames_.size());
  const auto columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const std::int64_t rows = (count + columns - 1) / columns;
  Image sheet{gap + columns * (cell.width + gap), gap + rows * (cell.height + gap), {}};
  sheet.rgb.assign(static_cast<std::size_t>(sheet.width * sheet.height * 3), dark_grey);
  for (std::int64_t i = 0; i < count; ++i) {
    const Image& frame = frames_[static_cast<std::size_t>(i)];
    if (frame.rgb.empty()) continue;  // never added: its cell stays grey
    const std::int64_t left = gap + i % columns * (cell.width + gap);
    const std::int64_t top = gap + i / columns * (cell.height + gap);
    for (std::int64_t y = 0; y < frame.height; ++y) {
      std::copy_n(frame.rgb.begin() + y * frame.width * 3, frame.width * 3,
                  sheet.rgb.begin() + ((top + y) * sheet.width + left) * 3);
    }
  }
  return sheet;
}

}  // namespace weft
