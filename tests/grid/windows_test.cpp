#include "weft/grid/windows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "weft/base/error.h"

#include "grid/plan_checks.h"

namespace weft {
namespace {

// A volume that ends inside a window along every axis, so that last windows are shifted.
WindowPlan small_plan() {
  return make_window_plan(whole(13, 22, 34), {.size = {5, 8, 12}, .overlap = {2, 4, 4}});
}

TEST(CoverAxis, OriginsAreStridesAndTheLastIsShiftedInwards) {
  const auto axis = cover_axis(22, 8, 4, 2);
  const std::vector<Range> expected{{0, 8}, {4, 12}, {8, 16}, {12, 20}, {14, 22}};
  EXPECT_EQ(axis.ranges, expected);
}

TEST(CoverAxis, OneWindowWhenItIsLargeEnough) {
  for (const std::int64_t size : {22, 24, 100}) {
    const auto axis = cover_axis(22, size, 4, 2);
    ASSERT_EQ(axis.ranges.size(), 1U);
    EXPECT_EQ(axis.ranges[0], (Range{0, 22}));
    EXPECT_EQ(axis.weights[0], std::vector<float>(22, 1.0F));
  }
}

TEST(CoverAxis, EveryCellIsCoveredWithPositiveWeightsThatSumToOne) {
  for (const std::int64_t align : {1, 2}) {
    for (std::int64_t extent = align; extent <= 60; extent += align) {
      for (std::int64_t size = align; size <= extent + align; size += align) {
        for (std::int64_t overlap = 0; overlap < size; overlap += align) {
          const auto axis = cover_axis(extent, size, overlap, align);
          std::vector<double> sum(static_cast<std::size_t>(extent), 0.0);
          for (std::size_t i = 0; i < axis.ranges.size(); ++i) {
            const Range& range = axis.ranges[i];
            ASSERT_EQ(range.size(), std::min(size, extent));
            ASSERT_EQ(range.begin % align, 0);
            ASSERT_EQ(std::ssize(axis.weights[i]), range.size());
            if (i > 0) {
              ASSERT_LT(axis.ranges[i - 1].begin, range.begin);
              ASSERT_GE(axis.ranges[i - 1].end - range.begin, overlap);
            }
            for (std::int64_t cell = range.begin; cell < range.end; ++cell) {
              const float w = axis.weights[i][static_cast<std::size_t>(cell - range.begin)];
              ASSERT_GT(w, 0.0F);
              sum[static_cast<std::size_t>(cell)] += w;
            }
          }
          for (const double s : sum)
            ASSERT_NEAR(s, 1.0, 3e-7) << extent << " " << size << " " << overlap;
        }
      }
    }
  }
}

TEST(CoverAxis, RampsRiseLinearly) {
  const auto axis = cover_axis(8, 5, 2, 1);  // [0, 5) and [3, 8): cells 3 and 4 are shared
  const std::vector<float> first{1, 1, 1, 2.0F / 3, 1.0F / 3};
  const std::vector<float> second{1.0F / 3, 2.0F / 3, 1, 1, 1};
  ASSERT_EQ(axis.ranges.size(), 2U);
  EXPECT_EQ(axis.weights[0], first);
  EXPECT_EQ(axis.weights[1], second);
}

TEST(CoverAxis, RefusesSizesThatCannotWork) {
  EXPECT_THROW(cover_axis(22, 8, 8, 2), InputError);
  EXPECT_THROW(cover_axis(22, 7, 2, 2), InputError);
  EXPECT_THROW(cover_axis(22, 8, 3, 2), InputError);
  EXPECT_THROW(cover_axis(22, 0, 0, 1), InputError);
  EXPECT_THROW(cover_axis(22, 8, -2, 2), InputError);
  EXPECT_THROW(cover_axis(13, 8, 2, 2),
               Error);  // a latent volume of whole patches is a caller's duty
}

TEST(WindowPlan, ErrorsNameEveryAxisAtOnce) {
  try {
    make_window_plan(whole(9, 22, 34), {.size = {2, 7, 12}, .overlap = {2, 2, 4}});
    FAIL() << "no error";
  } catch (const InputError& e) {
    ASSERT_EQ(e.problems().size(), 2U);
    EXPECT_NE(e.problems()[0].find("frames"), std::string::npos) << e.what();
    EXPECT_NE(e.problems()[1].find("rows"), std::string::npos) << e.what();
  }
}

TEST(WindowPlan, WindowsAreTheProductOfTheAxesFramesMajor) {
  const auto plan = small_plan();
  const auto& [frames, rows, cols] = plan.axes;
  ASSERT_EQ(plan.windows.size(), frames.ranges.size() * rows.ranges.size() * cols.ranges.size());
  std::size_t w = 0;
  for (std::size_t t = 0; t < frames.ranges.size(); ++t) {
    for (std::size_t h = 0; h < rows.ranges.size(); ++h) {
      for (std::size_t c = 0; c < cols.ranges.size(); ++c, ++w) {
        EXPECT_EQ(plan.windows[w].box, (Box{{frames.ranges[t], rows.ranges[h], cols.ranges[c]}}));
        EXPECT_EQ(plan.weights(static_cast<int>(w), 0).data(), frames.weights[t].data());
        EXPECT_EQ(plan.weights(static_cast<int>(w), 1).data(), rows.weights[h].data());
        EXPECT_EQ(plan.weights(static_cast<int>(w), 2).data(), cols.weights[c].data());
      }
    }
  }
}

TEST(WindowPlan, OverlappingWindowsMatchThePairwiseSearch) {
  const auto plan = small_plan();
  for (std::size_t a = 0; a < plan.windows.size(); ++a) {
    std::vector<int> expected;
    for (std::size_t b = 0; b < plan.windows.size(); ++b) {
      if (intersect(plan.windows[a].box, plan.windows[b].box))
        expected.push_back(static_cast<int>(b));
    }
    EXPECT_EQ(overlapping_windows(plan, static_cast<int>(a)), expected);
  }
}

TEST(TransferPlans, GatherCoversEveryCellOnceFromTheLowestWindow) {
  const auto plan = small_plan();
  for (const int ranks : {1, 2, 3, 7, 64, 4096}) {
    const auto owner = assign_windows(cells_of(plan), ranks);
    const auto chunks = chunk_boxes(plan.volume, decode_chunks(plan.volume.frames().size(), 2));
    const auto chunk_owner = assign_chunks(chunks.size(), ranks);
    std::vector<int> count(static_cast<std::size_t>(plan.volume.cells()), 0);
    for (const Transfer& t : gather_plan(plan, owner, chunks, chunk_owner)) {
      const auto from = static_cast<std::size_t>(t.from_item);
      const auto to = static_cast<std::size_t>(t.to_item);
      EXPECT_EQ(t.from_rank, owner[from]);
      EXPECT_EQ(t.to_rank, chunk_owner[to]);
      EXPECT_TRUE(plan.windows[from].box.contains(t.box));
      EXPECT_TRUE(chunks[to].contains(t.box));
      for (std::size_t lower = 0; lower < from; ++lower) {
        EXPECT_FALSE(intersect(plan.windows[lower].box, t.box))
            << lower << " also holds " << t.box.str();
      }
      mark(plan.volume, t.box, count);
    }
    EXPECT_EQ(std::count(count.begin(), count.end(), 1), plan.volume.cells());
  }
}

// Decode tiles overlap each other: every tile gets each of its cells once.
TEST(TransferPlans, GatherFillsEveryPieceAlsoWhereTheyOverlap) {
  const auto plan = small_plan();
  const auto owner = assign_windows(cells_of(plan), 7);
  const Box volume = plan.volume;
  const std::vector<Box> pieces{Box{{volume.frames(), Range{0, 14}, Range{0, 20}}},
                                Box{{volume.frames(), Range{8, 22}, Range{0, 20}}},
                                Box{{volume.frames(), Range{0, 22}, Range{14, 34}}}};
  const auto piece_owner = assign_chunks(pieces.size(), 2);
  std::vector<std::vector<int>> count(pieces.size());
  for (auto& c : count) c.resize(static_cast<std::size_t>(volume.cells()), 0);
  for (const Transfer& t : gather_plan(plan, owner, pieces, piece_owner)) {
    const auto to = static_cast<std::size_t>(t.to_item);
    EXPECT_EQ(t.to_rank, piece_owner[to]);
    EXPECT_TRUE(pieces[to].contains(t.box));
    EXPECT_TRUE(plan.windows[static_cast<std::size_t>(t.from_item)].box.contains(t.box));
    mark(volume, t.box, count[to]);
  }
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    EXPECT_EQ(std::count(count[p].begin(), count[p].end(), 1), pieces[p].cells());
    EXPECT_EQ(*std::max_element(count[p].begin(), count[p].end()), 1);
  }
}

TEST(TransferPlans, ScatterCoversEachWindow) {
  const auto plan = small_plan();
  const auto owner = assign_windows(cells_of(plan), 7);
  const auto scatter = scatter_plan(plan, owner);
  ASSERT_EQ(scatter.size(), plan.windows.size());
  std::vector<int> count(static_cast<std::size_t>(plan.volume.cells()), 0);
  for (std::size_t w = 0; w < scatter.size(); ++w) {
    EXPECT_EQ(scatter[w].from_rank, 0);
    EXPECT_EQ(scatter[w].from_item, 0);
    EXPECT_EQ(scatter[w].to_rank, owner[w]);
    EXPECT_EQ(scatter[w].to_item, static_cast<int>(w));
    EXPECT_EQ(scatter[w].box, plan.windows[w].box);
    mark(plan.volume, scatter[w].box, count);
  }
  EXPECT_EQ(std::count(count.begin(), count.end(), 0), 0);
}

TEST(TransferPlans, OverlapsAreSymmetricAndComplete) {
  const auto plan = small_plan();
  const auto owner = assign_windows(cells_of(plan), 7);
  const auto overlaps = overlap_plan(plan, owner);
  std::set<std::pair<int, int>> pairs;  // (to, from)
  for (const Transfer& t : overlaps) {
    const auto from = static_cast<std::size_t>(t.from_item);
    const auto to = static_cast<std::size_t>(t.to_item);
    EXPECT_EQ(t.from_rank, owner[from]);
    EXPECT_EQ(t.to_rank, owner[to]);
    EXPECT_NE(t.from_rank, t.to_rank);
    EXPECT_EQ(t.box, intersect(plan.windows[from].box, plan.windows[to].box));
    if (!pairs.empty()) {
      EXPECT_LT(*pairs.rbegin(), (std::pair{t.to_item, t.from_item}));
    }
    pairs.insert({t.to_item, t.from_item});
  }
  for (std::size_t a = 0; a < owner.size(); ++a) {
    for (std::size_t b = 0; b < owner.size(); ++b) {
      const bool travels =
          owner[a] != owner[b] && intersect(plan.windows[a].box, plan.windows[b].box).has_value();
      EXPECT_EQ(pairs.contains({static_cast<int>(a), static_cast<int>(b)}), travels);
    }
  }
}

// 4096 ranks with a window each, and more windows than ranks: everything is planned at once.
TEST(TransferPlans, FourThousandRanks) {
  const auto plan =
      make_window_plan(whole(241, 272, 480), {.size = {9, 24, 40}, .overlap = {1, 4, 8}});
  ASSERT_GT(plan.windows.size(), 4096U);
  for (const int ranks : rank_counts()) {
    const auto owner = assign_windows(cells_of(plan), ranks);
    const auto overlaps = overlap_plan(plan, owner);
    if (ranks != 4096) continue;
    std::map<std::tuple<int, int>, std::int64_t> sent;
    for (const Transfer& t : overlaps) sent[{t.from_rank, t.to_rank}] += t.box.cells();
    for (const auto& [pair, cells] : sent) {
      const auto [from, to] = pair;
      EXPECT_EQ(cells, (sent[{to, from}])) << from << " and " << to;
    }
  }
}

TEST(AssignWindows, ContiguousRunsAndEveryRankBusyWhileWindowsLast) {
  const auto plan =
      make_window_plan(whole(81, 60, 104), {.size = {5, 16, 16}, .overlap = {1, 4, 4}});
  const auto windows = static_cast<int>(plan.windows.size());
  for (const int ranks : rank_counts()) {
    const auto owner = assign_windows(cells_of(plan), ranks);
    ASSERT_EQ(std::ssize(owner), windows);
    EXPECT_EQ(owner.front(), 0);
    EXPECT_EQ(owner.back(), std::min(ranks, windows) - 1);
    for (std::size_t w = 1; w < owner.size(); ++w) {
      EXPECT_TRUE(owner[w] == owner[w - 1] || owner[w] == owner[w - 1] + 1);
    }
    // Equal costs: the largest rank holds the rounded-up mean.
    std::map<int, int> held;
    for (const int rank : owner) ++held[rank];
    int most = 0;
    for (const auto& [rank, count] : held) most = std::max(most, count);
    EXPECT_EQ(most, (windows + ranks - 1) / ranks) << ranks;
  }
}

// The least possible largest sum, by dynamic programming over all contiguous splits.
double optimum(std::span<const double> cost, int ranks) {
  const std::size_t n = cost.size();
  std::vector<double> best(n + 1, INFINITY);
  best[0] = 0;
  for (int r = 0; r < ranks; ++r) {
    std::vector<double> next(n + 1, INFINITY);
    for (std::size_t end = 0; end <= n; ++end) {
      for (std::size_t begin = 0; begin <= end; ++begin) {
        double sum = 0;
        for (std::size_t w = begin; w < end; ++w) sum += cost[w];
        next[end] = std::min(next[end], std::max(best[begin], sum));
      }
    }
    best = next;
  }
  return best[n];
}

TEST(AssignWindows, LargestSumIsMinimal) {
  std::uint32_t state = 1;
  for (int n = 1; n <= 24; ++n) {
    std::vector<double> cost;
    for (int w = 0; w < n; ++w) {
      state = state * 1664525 + 1013904223;
      cost.push_back(static_cast<double>(state >> 24) / 7.0);  // some of them zero or equal
    }
    for (int ranks = 1; ranks <= 9; ++ranks) {
      const auto owner = assign_windows(cost, ranks);
      std::vector<double> sum(static_cast<std::size_t>(ranks), 0.0);
      for (std::size_t w = 0; w < cost.size(); ++w)
        sum[static_cast<std::size_t>(owner[w])] += cost[w];
      EXPECT_EQ(*std::max_element(sum.begin(), sum.end()), optimum(cost, ranks))
          << n << " on " << ranks;
    }
  }
}

TEST(AssignWindows, FewerWindowsThanRanksGoToTheFirstRanks) {
  const std::vector<double> cost{5, 1, 1};
  EXPECT_EQ(assign_windows(cost, 4096), (std::vector{0, 1, 2}));
  EXPECT_EQ(assign_windows(cost, 2), (std::vector{0, 1, 1}));
  EXPECT_EQ(assign_windows(std::vector<double>(3, 0.0), 2), (std::vector{0, 0, 1}));
}

TEST(DecodeChunks, FrameZeroAloneThenEqualChunks) {
  EXPECT_EQ(decode_chunks(1, 4), (std::vector<Range>{{0, 1}}));
  EXPECT_EQ(decode_chunks(8, 3), (std::vector<Range>{{0, 1}, {1, 4}, {4, 7}, {7, 8}}));
  EXPECT_EQ(decode_chunks(21, 1).size(), 21U);
  EXPECT_EQ(assign_chunks(5, 3), (std::vector{0, 1, 2, 0, 1}));
}

TEST(Box, Algebra) {
  const Box a = whole(4, 6, 8);
  const Box b{{Range{3, 5}, Range{0, 6}, Range{7, 9}}};
  EXPECT_EQ(a.cells(), 192);
  EXPECT_EQ(a.str(), "frames 0-3, rows 0-5, cols 0-7");
  EXPECT_EQ(intersect(a, b), (Box{{Range{3, 4}, Range{0, 6}, Range{7, 8}}}));
  EXPECT_FALSE(
      intersect(a, Box{{Range{4, 5}, Range{0, 6}, Range{0, 8}}}));  // touching is not sharing
  EXPECT_TRUE(a.contains(*intersect(a, b)));
  EXPECT_FALSE(a.contains(b));
}

}  // namespace
}  // namespace weft
