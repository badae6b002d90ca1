#include "weft/grid/windows.h"

#include <algorithm>

#include "weft/base/error.h"

namespace weft {
namespace {

constexpr std::array<const char*, 3> axis_names{"frames", "rows", "columns"};
// A patch of the transformer is 1 x 2 x 2 cells: a window must hold whole patches.
constexpr std::array<std::int64_t, 3> axis_align{1, 2, 2};

std::vector<Range> place(std::int64_t extent, std::int64_t size, std::int64_t overlap,
                         std::int64_t shift) {
  if (size >= extent) return {Range{0, extent}};
  std::vector<Range> ranges;
  // What a shift uncovers at the beginning gets a window of its own, moved inwards.
  if (shift > 0) ranges.push_back({0, size});
  for (std::int64_t begin = shift;; begin += size - overlap) {
    begin = std::min(begin, extent - size);
    ranges.push_back({begin, begin + size});
    if (begin + size == extent) return ranges;
  }
}

/// Weight of window `i` at `cell` before normalisation: a rising ramp over the cells shared with
/// the window before, a falling one over those shared with the window after.
double ramp(const std::vector<Range>& ranges, std::size_t i, std::int64_t cell) {
  double weight = 1;
  const Range& own = ranges[i];
  if (i > 0 && cell < ranges[i - 1].end) {
    const std::int64_t shared = ranges[i - 1].end - own.begin;
    weight *= static_cast<double>(cell - own.begin + 1) / static_cast<double>(shared + 1);
  }
  if (i + 1 < ranges.size() && cell >= ranges[i + 1].begin) {
    const std::int64_t shared = own.end - ranges[i + 1].begin;
    weight *= static_cast<double>(own.end - cell) / static_cast<double>(shared + 1);
  }
  return weight;
}

void check_axis(const char* name, std::int64_t size, std::int64_t overlap, std::int64_t align,
                Problems& problems) {
  if (size < 1 || overlap < 0) {
    problems.add(
        "window along {}: size {} and overlap {} latent cells; want size >= 1, overlap >= 0", name,
        size, overlap);
  } else if (size <= overlap) {
    problems.add(
        "window along {}: size {} must exceed the overlap {} (latent cells); enlarge the "
        "window or lower the overlap",
        name, size, overlap);
  }
  if (size % align != 0 || overlap % align != 0) {
    problems.add("window along {}: size {} and overlap {} must be multiples of {} latent cells",
                 name, size, overlap, align);
  }
}

AxisWindows cover_checked(std::int64_t extent, std::int64_t size, std::int64_t overlap,
                          std::int64_t align, std::int64_t shift) {
  WEFT_ASSERT(extent >= 1 && extent % align == 0, "extent {} for windows aligned to {}", extent,
              align);
  WEFT_ASSERT(0 <= shift && shift < size - overlap && shift % align == 0,
              "windows of {} that overlap by {} shifted by {}", size, overlap, shift);
  AxisWindows axis;
  axis.ranges = place(extent, size, overlap, shift);
  std::vector<double> total(static_cast<std::size_t>(extent), 0.0);
  std::vector<std::vector<double>> raw(axis.ranges.size());
  for (std::size_t i = 0; i < axis.ranges.size(); ++i) {
    for (std::int64_t cell = axis.ranges[i].begin; cell < axis.ranges[i].end; ++cell) {
      raw[i].push_back(ramp(axis.ranges, i, cell));
      total[static_cast<std::size_t>(cell)] += raw[i].back();
    }
  }
  for (std::size_t i = 0; i < axis.ranges.size(); ++i) {
    auto& weights = axis.weights.emplace_back();
    for (std::size_t k = 0; k < raw[i].size(); ++k) {
      const std::size_t cell = static_cast<std::size_t>(axis.ranges[i].begin) + k;
      weights.push_back(static_cast<float>(raw[i][k] / total[cell]));
    }
  }
  return axis;
}

void check_axes(const Box& volume, const WindowSize& window) {
  Problems problems;
  for (std::size_t a = 0; a < 3; ++a) {
    WEFT_ASSERT(volume.axis[a].begin == 0, "the volume starts at {}", volume.str());
    check_axis(axis_names[a], window.size[a], window.overlap[a], axis_align[a], problems);
  }
  problems.throw_if_any();
}

/// floor(places x r), where r is n written in `base` and mirrored at the point: 0, 1/2, 1/4, 3/4,
/// 1/8, ... for base 2. Below 2^31 x places, so it fits.
std::int64_t scaled_radical_inverse(std::int64_t n, std::int64_t base, std::int64_t places) {
  std::int64_t mirrored = 0, scale = 1;
  for (; n > 0; n /= base) {
    mirrored = mirrored * base + n % base;
    scale *= base;
  }
  return mirrored * places / scale;
}

}  // namespace

AxisWindows cover_axis(std::int64_t extent, std::int64_t size, std::int64_t overlap,
                       std::int64_t align) {
  Problems problems;
  check_axis("the axis", size, overlap, align, problems);
  problems.throw_if_any();
  return cover_checked(extent, size, overlap, align, 0);
}

std::span<const float> WindowPlan::weights(int w, int axis) const {
  const auto a = static_cast<std::size_t>(axis);
  const Window& window = windows.at(static_cast<std::size_t>(w));
  return axes.at(a).weights[static_cast<std::size_t>(window.index[a])];
}

WindowShift window_shift(const Box& volume, const WindowSize& window, int step) {
  check_axes(volume, window);
  WEFT_ASSERT(step >= 0, "step {}", step);
  constexpr std::array<std::int64_t, 3> bases{2, 3, 5};
  auto base = bases.begin();
  WindowShift shift{};
  for (std::size_t a = 0; a < 3; ++a) {
    if (window.size[a] >= volume.axis[a].end) continue;
    const std::int64_t places = (window.size[a] - window.overlap[a]) / axis_align[a];
    shift[a] = scaled_radical_inverse(step, *base++, places) * axis_align[a];
  }
  return shift;
}

WindowPlan make_window_plan(const Box& volume, const WindowSize& window, const WindowShift& shift) {
  check_axes(volume, window);
  WindowPlan plan;
  plan.volume = volume;
  for (std::size_t a = 0; a < 3; ++a) {
    plan.axes[a] = cover_checked(volume.axis[a].end, window.size[a], window.overlap[a],
                                 axis_align[a], shift[a]);
  }
  const auto& [frames, rows, cols] = plan.axes;
  for (std::size_t t = 0; t < frames.ranges.size(); ++t) {
    for (std::size_t h = 0; h < rows.ranges.size(); ++h) {
      for (std::size_t w = 0; w < cols.ranges.size(); ++w) {
        plan.windows.push_back({Box{{frames.ranges[t], rows.ranges[h], cols.ranges[w]}},
                                {static_cast<int>(t), static_cast<int>(h), static_cast<int>(w)}});
      }
    }
  }
  return plan;
}

std::vector<int> overlapping_windows(const WindowPlan& plan, int window) {
  const auto& index = plan.windows.at(static_cast<std::size_t>(window)).index;
  std::array<std::vector<int>, 3> near;  // along each axis: indices of windows that share cells
  for (std::size_t a = 0; a < 3; ++a) {
    const auto& ranges = plan.axes[a].ranges;
    const Range& own = ranges[static_cast<std::size_t>(index[a])];
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      if (ranges[i].begin < own.end && own.begin < ranges[i].end)
        near[a].push_back(static_cast<int>(i));
    }
  }
  const int rows = static_cast<int>(plan.axes[1].ranges.size());
  const int cols = static_cast<int>(plan.axes[2].ranges.size());
  std::vector<int> found;
  for (const int t : near[0]) {
    for (const int h : near[1]) {
      for (const int w : near[2]) found.push_back((t * rows + h) * cols + w);
    }
  }
  return found;
}

}  // namespace weft
