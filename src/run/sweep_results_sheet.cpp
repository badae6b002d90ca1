// Receives the clips of a sweep, hands out one picture with a labelled cell for each.
#include "sweep_results_sheet.h"

#include <algorithm>

#include "weft/base/error.h"
#include "weft/io/video_reader.h"

#include "job_values.h"
#include "sweep_results_font.h"

namespace weft {
namespace {

constexpr std::size_t few_points = 12;  // with three frames each
constexpr std::int64_t widest_frame = 320, narrowest_frame = 48, gap = 4;
constexpr std::int64_t longest_side = 16000;  // pixels
constexpr std::uint8_t dark_grey = 0x28;
constexpr std::size_t most_letters = 60, most_lines = 3;  // of a value; of a label's entry

struct Grid {
  std::size_t rows, cols;
};

Grid grid_of(const Sweep& sweep) {
  const std::size_t cols = sweep.axes.empty() ? 1 : sweep.axes.back().values.size();
  return {sweep.points.size() / std::max<std::size_t>(cols, 1), cols};
}

/// "key=value" of every key of one place on an axis.
void add_labels(const SweepAxis& axis, std::size_t place, std::vector<std::string>& labels) {
  for (std::size_t k = 0; k < axis.keys.size(); ++k) {
    labels.push_back(axis.keys[k] + "=" + printable(axis.values[place][k], most_letters));
  }
}

std::vector<std::string> column_labels(const Sweep& sweep, std::size_t col) {
  std::vector<std::string> labels;
  if (!sweep.axes.empty()) add_labels(sweep.axes.back(), col, labels);
  return labels;
}

/// Of all axes but the last, in the order of the file.
std::vector<std::string> row_labels(const Sweep& sweep, std::size_t row) {
  std::vector<std::vector<std::string>> reversed;
  for (std::size_t a = sweep.axes.size(); a-- > 1;) {
    const SweepAxis& axis = sweep.axes[a - 1];
    reversed.emplace_back();
    add_labels(axis, row % axis.values.size(), reversed.back());
    row /= axis.values.size();
  }
  std::vector<std::string> labels;
  for (auto part = reversed.rbegin(); part != reversed.rend(); ++part) {
    labels.insert(labels.end(), part->begin(), part->end());
  }
  return labels;
}

std::vector<std::string> lines_of(const std::vector<std::string>& labels, std::size_t letters) {
  std::vector<std::string> lines;
  for (const std::string& label : labels) {
    const auto part = wrapped(label, letters, most_lines);
    lines.insert(lines.end(), part.begin(), part.end());
  }
  return lines;
}

/// First, middle and last frame, or the middle one alone.
std::vector<Image> frames_of(const std::filesystem::path& clip, bool three) {
  std::vector<Image> all;
  VideoReader reader(clip);
  while (auto frame = reader.next()) all.push_back(std::move(*frame));
  if (all.empty()) fail("{}: has no frames", clip.string());
  if (!three) return {all[all.size() / 2]};
  return {all.front(), all[all.size() / 2], all.back()};
}

void put(const Image& from, Image& to, std::int64_t left, std::int64_t top) {
  for (std::int64_t y = 0; y < std::min(from.height, to.height - top); ++y) {
    std::copy_n(from.rgb.begin() + y * from.width * 3, std::min(from.width, to.width - left) * 3,
                to.rgb.begin() + ((top + y) * to.width + left) * 3);
  }
}

/// Where things are, in pixels.
class Layout {
 public:
  Layout(const Sweep& sweep, const Grid& grid, const Image& frame, std::size_t frames) {
    const auto count = static_cast<std::int64_t>(frames);
    const auto cols = static_cast<std::int64_t>(grid.cols);
    const auto rows = static_cast<std::int64_t>(grid.rows);
    const std::int64_t room = longest_side / std::max(cols * count, rows) - gap;
    frame_width = std::max(narrowest_frame, std::min({frame.width, widest_frame, room}));
    frame_height = std::max<std::int64_t>(1, frame.height * frame_width / frame.width);
    cell_width = count * frame_width;
    scale = cell_width >= 200 ? 2 : 1;
    letters = static_cast<std::size_t>(cell_width / (letter_width * scale));
    std::size_t lines = 0, row_letters = 0, row_lines = 0;
    for (std::size_t col = 0; col < grid.cols; ++col) {
      lines = std::max(lines, lines_of(column_labels(sweep, col), letters).size());
    }
    for (std::size_t row = 0; row < grid.rows; ++row) {
      const auto of_row = lines_of(row_labels(sweep, row), most_row_letters);
      row_lines = std::max(row_lines, of_row.size());
      for (const auto& line : of_row) row_letters = std::max(row_letters, line.size());
    }
    left = gap + (static_cast<std::int64_t>(row_letters) + (row_letters > 0 ? 1 : 0)) *
                     letter_width * scale;
    top = gap + static_cast<std::int64_t>(lines) * line_height * scale;
    cell_height =
        std::max(frame_height, static_cast<std::int64_t>(row_lines) * line_height * scale);
    width = left + cols * (cell_width + gap);
    height = top + rows * (cell_height + gap);
  }
  static constexpr std::size_t most_row_letters = 24;
  std::int64_t frame_width, frame_height, cell_width, cell_height, left, top, width, height;
  std::size_t letters;
  int scale;
};

void draw_lines(Image& sheet, std::int64_t left, std::int64_t top,
                const std::vector<std::string>& lines, int scale) {
  for (const std::string& line : lines) {
    draw_text(sheet, left, top, line, scale);
    top += line_height * scale;
  }
}

}  // namespace

bool fits_sheet(const Sweep& sweep) {
  const Grid grid = grid_of(sweep);
  return static_cast<std::int64_t>(std::max(grid.rows, grid.cols)) * (narrowest_frame + gap) <=
         longest_side;
}

Image draw_sheet(const Sweep& sweep, const std::vector<std::filesystem::path>& clips) {
  const Grid grid = grid_of(sweep);
  const bool three = clips.size() <= few_points;
  std::vector<Image> frames = frames_of(clips.front(), three);
  const Layout at(sweep, grid, frames.front(), frames.size());
  Image sheet{at.width, at.height, {}};
  sheet.rgb.assign(static_cast<std::size_t>(at.width * at.height * 3), dark_grey);
  for (std::size_t col = 0; col < grid.cols; ++col) {
    draw_lines(sheet, at.left + static_cast<std::int64_t>(col) * (at.cell_width + gap), gap,
               lines_of(column_labels(sweep, col), at.letters), at.scale);
  }
  for (std::size_t row = 0; row < grid.rows; ++row) {
    draw_lines(sheet, gap, at.top + static_cast<std::int64_t>(row) * (at.cell_height + gap),
               lines_of(row_labels(sweep, row), Layout::most_row_letters), at.scale);
  }
  for (std::size_t i = 0; i < clips.size(); ++i) {
    if (i > 0) frames = frames_of(clips[i], three);
    std::int64_t left = at.left + static_cast<std::int64_t>(i % grid.cols) * (at.cell_width + gap);
    const std::int64_t top =
        at.top + static_cast<std::int64_t>(i / grid.cols) * (at.cell_height + gap);
    for (const Image& frame : frames) {
      // Points may differ in size: each is fitted into the same cell.
      const double scale =
          std::min(static_cast<double>(at.frame_width) / static_cast<double>(frame.width),
                   static_cast<double>(at.frame_height) / static_cast<double>(frame.height));
      const auto fitted = [&](std::int64_t side) {
        return std::max<std::int64_t>(
            1, static_cast<std::int64_t>(static_cast<double>(side) * scale + 0.5));
      };
      put(resize_lanczos(frame, fitted(frame.width), fitted(frame.height)), sheet, left, top);
      left += at.frame_width;
    }
  }
  return sheet;
}

}  // namespace weft
