// Windows that move from step to step, and what is carried from the windows of one step to the
// next.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "weft/base/error.h"
#include "weft/grid/windows.h"

#include "grid/plan_checks.h"

namespace weft {
namespace {

// Shapes for shifted windows: odd numbers of frames, several windows along some axes or all, no
// overlap, windows that overlap by more than half, an axis with two places only.
struct ShiftCase {
  Box volume;
  WindowSize window;
};
const std::vector<ShiftCase> shift_cases{
    {whole(13, 22, 34), {.size = {5, 8, 12}, .overlap = {2, 4, 4}}},
    {whole(21, 10, 14), {.size = {7, 16, 16}, .overlap = {1, 2, 2}}},
    {whole(7, 10, 50), {.size = {9, 10, 12}, .overlap = {2, 0, 8}}},
    {whole(9, 18, 6), {.size = {8, 6, 6}, .overlap = {6, 2, 2}}},
    {whole(5, 14, 26), {.size = {2, 6, 10}, .overlap = {0, 0, 2}}},
};

// Catches a shift that leaves part of a window outside, moves an axis of one window, breaks a patch
// in two, or drops the window that the shift makes necessary at the beginning.
TEST(WindowShift, EveryShiftCoversTheVolumeWithWholeWindows) {
  for (const auto& [volume, window] : shift_cases) {
    const auto still = make_window_plan(volume, window);
    for (int step = 0; step < 60; ++step) {
      const auto shift = window_shift(volume, window, step);
      const auto plan = make_window_plan(volume, window, shift);
      for (std::size_t a = 0; a < 3; ++a) {
        const std::int64_t extent = volume.axis[a].end, size = window.size[a];
        const auto& ranges = plan.axes[a].ranges;
        if (size >= extent) {
          EXPECT_EQ(shift[a], 0);
          ASSERT_EQ(ranges, still.axes[a].ranges);
          continue;
        }
        EXPECT_EQ(ranges.front().begin, 0);
        EXPECT_EQ(ranges.back().end, extent);
        EXPECT_LE(ranges.size(), still.axes[a].ranges.size() + 1);
        std::vector<double> sum(static_cast<std::size_t>(extent), 0.0);
        for (std::size_t i = 0; i < ranges.size(); ++i) {
          ASSERT_EQ(ranges[i].size(), size);
          ASSERT_EQ(ranges[i].begin % (a == 0 ? 1 : 2), 0);
          if (i > 0) {
            ASSERT_LT(ranges[i - 1].begin, ranges[i].begin);
            ASSERT_GE(ranges[i - 1].end - ranges[i].begin, window.overlap[a]);
          }
          for (std::int64_t k = 0; k < size; ++k) {
            const float w = plan.axes[a].weights[i][static_cast<std::size_t>(k)];
            ASSERT_GT(w, 0.0F);
            sum[static_cast<std::size_t>(ranges[i].begin + k)] += w;
          }
        }
        for (const double s : sum) ASSERT_NEAR(s, 1.0, 3e-7);
      }
    }
  }
}

TEST(WindowShift, OriginsAreTheShiftPlusStrides) {
  const auto plan =
      make_window_plan(whole(1, 30, 8), {.size = {1, 12, 8}, .overlap = {0, 4, 2}}, {0, 6, 0});
  const std::vector<Range> expected{{0, 12}, {6, 18}, {14, 26}, {18, 30}};
  EXPECT_EQ(plan.axes[1].ranges, expected);
  EXPECT_EQ(plan.axes[2].ranges.size(), 1U);
  const WindowSize window{.size = {1, 12, 8}, .overlap = {0, 4, 2}};
  EXPECT_THROW(make_window_plan(whole(1, 30, 8), window, {0, 8, 0}), Error);  // a whole stride
  EXPECT_THROW(make_window_plan(whole(1, 30, 8), window, {0, 3, 0}), Error);  // half a patch
}

// Seams would settle where the sequence stays, and where some places come more often than others.
TEST(WindowShift, VisitsAllPlacesOfAStrideEquallyOftenAndTogether) {
  const Box volume = whole(41, 40, 80);
  const WindowSize window{.size = {10, 20, 24}, .overlap = {2, 2, 4}};  // 8, 9 and 10 places
  EXPECT_EQ(window_shift(volume, window, 0), (WindowShift{0, 0, 0}));
  EXPECT_EQ(window_shift(volume, window, 1), (WindowShift{4, 6, 4}));   // 1/2, 1/3, 1/5
  EXPECT_EQ(window_shift(volume, window, 2), (WindowShift{2, 12, 8}));  // 1/4, 2/3, 2/5
  EXPECT_EQ(window_shift(volume, window, 3), (WindowShift{6, 2, 12}));  // 3/4, 1/9, 3/5
  std::array<std::map<std::int64_t, int>, 3> seen;
  std::set<WindowShift> together;
  for (int step = 0; step < 720; ++step) {
    const auto shift = window_shift(volume, window, step);
    for (std::size_t a = 0; a < 3; ++a) ++seen[a][shift[a]];
    together.insert(shift);
  }
  EXPECT_GT(together.size(), 360U);  // the axes do not move in step
  for (std::size_t a = 0; a < 3; ++a) {
    const std::int64_t places = (window.size[a] - window.overlap[a]) / (a == 0 ? 1 : 2);
    ASSERT_EQ(std::ssize(seen[a]), places);
    for (const auto& [shift, count] : seen[a])
      EXPECT_NEAR(count, 720.0 / static_cast<double>(places), 4) << shift;
  }
  // One axis of several windows: it has base 2 whichever axis it is.
  EXPECT_EQ(window_shift(whole(41, 20, 24), window, 1), (WindowShift{4, 0, 0}));
  EXPECT_EQ(window_shift(whole(10, 20, 80), window, 1), (WindowShift{0, 0, 10}));
}

// Every cell of every new window exactly once, from the lowest old window that holds it: what a
// rank holds after the move does not depend on how many ranks there are. Catches a cell that is
// left out or comes twice, or from a window (or rank) that does not hold it.
TEST(TransferPlans, RewindowFillsEveryWindowOnAnyNumberOfRanks) {
  for (const auto& [volume, window] : shift_cases) {
    for (int step = 0; step < 3; ++step) {
      const auto from = make_window_plan(volume, window, window_shift(volume, window, step));
      const auto to = make_window_plan(volume, window, window_shift(volume, window, step + 1));
      for (const int ranks : rank_counts()) {
        const auto from_owner = assign_windows(cells_of(from), ranks);
        const auto to_owner = assign_windows(cells_of(to), ranks);
        const auto plan = rewindow_plan(from, from_owner, to, to_owner);
        std::vector<int> count;
        int item = -1;
        for (const Transfer& t : plan) {
          const auto f = static_cast<std::size_t>(t.from_item);
          const auto w = static_cast<std::size_t>(t.to_item);
          ASSERT_EQ(t.from_rank, from_owner[f]);
          ASSERT_EQ(t.to_rank, to_owner[w]);
          if (ranks > 3) continue;  // the boxes are the same
          ASSERT_TRUE(from.windows[f].box.contains(t.box) && to.windows[w].box.contains(t.box));
          for (std::size_t lower = 0; lower < f; ++lower) {
            ASSERT_FALSE(intersect(from.windows[lower].box, t.box));
          }
          if (t.to_item != item) {  // complete before the next one begins
            ASSERT_EQ(t.to_item, item + 1);
            if (item >= 0) {
              ASSERT_EQ(std::ranges::count(count, 1),
                        to.windows[static_cast<std::size_t>(item)].box.cells());
            }
            item = t.to_item;
            count.assign(static_cast<std::size_t>(volume.cells()), 0);
          }
          mark(volume, t.box, count);
          ASSERT_LE(std::ranges::max(count), 1);
        }
      }
    }
  }
}

}  // namespace
}  // namespace weft
