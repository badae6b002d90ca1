#include "weft/grid/process_grid.h"

#include <set>

#include <gtest/gtest.h>

#include "weft/base/error.h"

namespace weft {
namespace {

GridWork one_window(std::int64_t tokens, std::int64_t heads, bool guided = true) {
  const auto n = static_cast<double>(tokens);
  const auto width = static_cast<double>(heads * 128);
  return {.window_tokens = {tokens},
          .heads = heads,
          .head_dim = 128,
          .layers = 30,
          .window_flops = {30 * (4 * n * n * width + 2 * n * width * width * 16)},
          .guided = guided,
          .element_bytes = 2,
          .ranks_per_node = 8};
}
GridWork wan_1_3b() { return one_window(32760, 12); }

// A mistake in the order of places would give two ranks one place.
TEST(ProcessGrid, EveryRankHasAPlaceOfItsOwn) {
  const ProcessGrid grid{3, 2, 4, 2};
  std::set<std::array<int, 4>> seen;
  for (int rank = 0; rank < grid.ranks(); ++rank) {
    const auto p = place_of(grid, rank);
    ASSERT_TRUE(p);
    EXPECT_TRUE(seen.insert({p->group, p->half, p->ring, p->ulysses}).second);
    EXPECT_EQ(rank, ((p->group * 2 + p->half) * 2 + p->ring) * 4 + p->ulysses);
  }
  EXPECT_FALSE(place_of(grid, grid.ranks()));
  EXPECT_FALSE(place_of(grid, -1));
}

TEST(ProcessGrid, ParsesWhatAUserTypes) {
  const GridRequest r = parse_grid("ulysses=4, cfg=2");
  EXPECT_EQ(r.cfg, 2);
  EXPECT_EQ(r.ulysses, 4);
  EXPECT_FALSE(r.ring || r.groups);
  EXPECT_FALSE(parse_grid("auto").cfg);
  for (const char* bad :
       {"cfg", "cfg=", "cfg=0", "cfg=two", "pipe=2", "cfg=1,cfg=2", "=2", ",", "cfg=99999999999"}) {
    EXPECT_THROW(static_cast<void>(parse_grid(bad)), InputError) << bad;
  }
}

// 12 heads cannot be dealt to 8 ranks: the branches go to two halves first, then a ring takes what
// is left, or heads and a ring where a ring's attention costs more.
TEST(ProcessGrid, TwelveHeadsOnEightRanks) {
  MachineSpeed slow_ring = gpu_speed(false);
  slow_ring.ring = 0.5;
  EXPECT_EQ(choose_grid({}, wan_1_3b(), 8, gpu_speed(false)), (ProcessGrid{1, 2, 1, 4}));
  EXPECT_EQ(choose_grid({}, wan_1_3b(), 8, slow_ring), (ProcessGrid{1, 2, 4, 1}));
  GridWork unguided = wan_1_3b();
  unguided.guided = false;
  EXPECT_EQ(choose_grid({}, unguided, 8, gpu_speed(false)), (ProcessGrid{1, 1, 1, 8}));
  EXPECT_EQ(choose_grid(parse_grid("ring=2"), unguided, 8, slow_ring), (ProcessGrid{1, 1, 4, 2}));
  unguided.ring_unasked = false;
  EXPECT_EQ(choose_grid({}, unguided, 8, gpu_speed(false)), (ProcessGrid{1, 1, 6, 1}));
}

TEST(ProcessGrid, AChoiceIsAlwaysPossibleAndNeverWorseThanFewerRanks) {
  for (const GridWork& work :
       {wan_1_3b(), one_window(27280, 24), one_window(75600, 40, false), one_window(320, 5)}) {
    double before = 1e300;
    for (int ranks = 1; ranks <= 70; ++ranks) {
      const ProcessGrid grid = choose_grid({}, work, ranks, gpu_speed(false));
      EXPECT_EQ(grid_problem(grid, work, ranks), "") << ranks;
      EXPECT_EQ(work.heads % grid.ulysses, 0);
      const double seconds = predict_step(grid, work, gpu_speed(false)).seconds;
      EXPECT_LE(seconds, before * (1 + 1e-9)) << ranks << " ranks: " << grid.str();
      before = seconds;
    }
  }
}

TEST(ProcessGrid, ManyWindowsGoToGroupsFirst) {
  GridWork work = wan_1_3b();
  work.window_tokens.assign(8, 32760);
  work.window_flops.assign(8, work.window_flops.front());
  EXPECT_EQ(choose_grid({}, work, 8, gpu_speed(false)), (ProcessGrid{8, 1, 1, 1}));
  EXPECT_EQ(choose_grid({}, work, 16, gpu_speed(false)), (ProcessGrid{8, 2, 1, 1}));
}

TEST(ProcessGrid, ARequestIsKeptOrRefusedWithAReason) {
  EXPECT_EQ(choose_grid({.groups = {}, .cfg = 1, .ulysses = 2, .ring = 2}, wan_1_3b(), 4,
                        gpu_speed(false)),
            (ProcessGrid{1, 1, 2, 2}));
  EXPECT_EQ(choose_grid({.groups = {}, .cfg = 1, .ulysses = 5, .ring = 1}, wan_1_3b(), 8,
                        gpu_speed(false)),
            (ProcessGrid{1, 1, 5, 1}));  // uneven heads, as asked
  const auto refused = [](const GridRequest& r, const GridWork& w, int ranks, const char* why) {
    try {
      static_cast<void>(choose_grid(r, w, ranks, gpu_speed(false)));
      FAIL() << "expected: " << why;
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  };
  refused({.groups = {}, .cfg = 2, .ulysses = 4, .ring = {}}, wan_1_3b(), 4, "needs 8 ranks");
  refused({.groups = {}, .cfg = 3, .ulysses = {}, .ring = {}}, wan_1_3b(), 8, "two branches");
  refused({.groups = 2, .cfg = {}, .ulysses = {}, .ring = {}}, wan_1_3b(), 8,
          "2 groups for 1 window");
  refused({.groups = {}, .cfg = {}, .ulysses = 16, .ring = {}}, wan_1_3b(), 16, "12 heads");
  refused({.groups = {}, .cfg = 2, .ulysses = {}, .ring = {}}, one_window(320, 4, false), 4,
          "needs guidance");
}

TEST(ProcessGrid, PredictsMeasuredSpeed) {
  // One H200 takes 0.431 s for a forward of the 1.3B model.
  const StepPrediction one = predict_step({}, wan_1_3b(), gpu_speed(false));
  EXPECT_NEAR(one.seconds, 2 * 0.431, 0.1);
  EXPECT_EQ(one.bytes_per_rank, 0);
  const StepPrediction four = predict_step({1, 2, 2, 1}, wan_1_3b(), gpu_speed(false));
  EXPECT_GT(one.seconds / four.seconds, 3.5);
  EXPECT_LT(one.seconds / four.seconds, 4);
}

}  // namespace
}  // namespace weft
