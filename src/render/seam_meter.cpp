#include "weft/render/seam_meter.h"

#include <algorithm>
#include <cstdlib>

namespace weft {
namespace {

/// Begins and ends of an axis' windows that lie inside it, scaled, each once.
void add_edges(const AxisWindows& axis, std::int64_t scale, std::vector<std::int64_t>& edges) {
  for (std::size_t i = 1; i < axis.ranges.size(); ++i) {
    edges.push_back(axis.ranges[i].begin * scale);
    edges.push_back(axis.ranges[i - 1].end * scale);
  }
}

void sort_unique(std::vector<std::int64_t>& edges) {
  std::ranges::sort(edges);
  edges.erase(std::ranges::unique(edges).begin(), edges.end());
}

}  // namespace

Seams seams_of(const RenderPlan& plan, const ModelFolder& model) {
  Seams seams;
  seams.frames_per_cell = model.time_factor();
  seams.pixels_per_cell = model.space_factor();
  add_edges(plan.windows.axes[0], 1, seams.frames);
  // Latent frame k > 0 begins at frame 1 + (k - 1) f.
  for (std::int64_t& edge : seams.frames) edge = 1 + (edge - 1) * model.time_factor();
  add_edges(plan.windows.axes[1], model.space_factor(), seams.rows);
  add_edges(plan.windows.axes[2], model.space_factor(), seams.cols);
  if (!plan.tiles.empty()) {
    add_edges(plan.tiles[0], 1, seams.rows);
    add_edges(plan.tiles[1], 1, seams.cols);
  }
  for (auto* edges : {&seams.frames, &seams.rows, &seams.cols}) sort_unique(*edges);
  return seams;
}

SeamMeter::SeamMeter(Seams seams, std::int64_t width, std::int64_t height)
    : width_(width), height_(height), seams_(std::move(seams)) {
  const auto mark = [](const std::vector<std::int64_t>& edges, std::int64_t extent) {
    std::vector<char> marks(static_cast<std::size_t>(extent), 0);
    for (const std::int64_t e : edges) {
      if (e > 0 && e < extent) marks[static_cast<std::size_t>(e)] = 1;
    }
    return marks;
  };
  rows_.is_seam = mark(seams_.rows, height);
  cols_.is_seam = mark(seams_.cols, width);
}

void SeamMeter::add(std::span<const std::uint8_t> rgb) {
  const std::int64_t stride = width_ * 3;
  const std::int64_t cell = seams_.pixels_per_cell;
  // Sum of |difference| of two rows of pixels, shifted against each other by `apart` bytes.
  const auto difference = [](const std::uint8_t* a, const std::uint8_t* b, std::int64_t n) {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += std::abs(int{a[i]} - int{b[i]});
    return sum;
  };
  const auto count = [](Axis& axis, bool seam, std::int64_t sum, std::int64_t n) {
    Sum& to = seam ? axis.seam : axis.elsewhere;
    to.steps += static_cast<double>(sum);
    to.count += n;
  };
  for (std::int64_t y = 0; y < height_; ++y) {
    const std::uint8_t* row = rgb.data() + y * stride;
    if (!seams_.rows.empty() && y > 0 && y % cell == 0) {
      count(rows_, rows_.is_seam[static_cast<std::size_t>(y)] != 0,
            difference(row, row - stride, stride), stride);
    }
    if (seams_.cols.empty()) continue;
    for (std::int64_t x = cell; x < width_; x += cell) {
      count(cols_, cols_.is_seam[static_cast<std::size_t>(x)] != 0,
            difference(row + x * 3, row + (x - 1) * 3, 3), 3);
    }
  }
  if (!seams_.frames.empty()) {
    if (index_ > 0 && (index_ - 1) % seams_.frames_per_cell == 0) {
      count(time_, std::ranges::binary_search(seams_.frames, index_),
            difference(rgb.data(), previous_.data(), stride * height_), stride * height_);
    }
    previous_.assign(rgb.begin(), rgb.end());
  }
  ++index_;
}

std::optional<double> SeamMeter::Axis::ratio() const {
  if (seam.count == 0 || elsewhere.count == 0 || elsewhere.steps == 0) return {};
  return seam.steps / static_cast<double>(seam.count) /
         (elsewhere.steps / static_cast<double>(elsewhere.count));
}

SeamMeter::Figure SeamMeter::figure() const {
  return {time_.ratio(), rows_.ratio(), cols_.ratio()};
}

std::optional<double> SeamMeter::Figure::worst() const {
  std::optional<double> most;
  for (const auto& value : {frames, rows, cols}) {
    if (value && (!most || *value > *most)) most = value;
  }
  return most;
}

}  // namespace weft
