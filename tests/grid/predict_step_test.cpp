// Predictions against what was measured on two H200s of one node (bench/results/parallel-h200).
#include <gtest/gtest.h>

#include "weft/grid/cost.h"
#include "weft/grid/process_grid.h"

namespace weft {
namespace {

struct Measured {
  const char* name;
  TransformerSize size;
  std::int64_t tokens;
  double one, cfg, ulysses, ring;  // seconds of a step; 0: not measured
};

const std::vector<Measured> models{
    {"1.3B",
     {.dim = 1536, .ffn = 8960, .layers = 30, .heads = 12},
     32760,
     0.84940,
     0.42577,
     0.47260,
     0.48066},
    {"5B",
     {.dim = 3072, .ffn = 14336, .layers = 30, .heads = 24, .in_channels = 48, .out_channels = 48},
     27280,
     1.54888,
     0.79389,
     0.85575,
     0},
    {"14B",
     {.dim = 5120, .ffn = 13824, .layers = 40, .heads = 40},
     32760,
     4.91288,
     2.49941,
     2.73643,
     0}};

GridWork work_of(const Measured& m) {
  return {.window_tokens = {m.tokens},
          .heads = m.size.heads,
          .head_dim = m.size.dim / m.size.heads,
          .layers = m.size.layers,
          .window_flops = {transformer_flops(m.size, m.tokens).total()},
          .guided = true,
          .element_bytes = 2,
          .ranks_per_node = 8};
}

TEST(PredictStep, StaysWithinTenPercentOfTwoH200s) {
  for (const Measured& m : models) {
    const GridWork work = work_of(m);
    const double one = predict_step({}, work, gpu_speed(false)).seconds;
    EXPECT_NEAR(one / m.one, 1, 0.1) << m.name;
    const auto expect = [&](const char* what, const ProcessGrid& grid, double measured) {
      if (measured == 0) return;
      const double predicted = predict_step(grid, work, gpu_speed(false)).seconds;
      const double off = one / predicted / (m.one / measured) - 1;
      EXPECT_NEAR(off, 0, 0.1) << m.name << ", " << what << ": speed-up of " << one / predicted
                               << " predicted, " << m.one / measured << " measured";
      RecordProperty(std::string(m.name) + " " + what, std::to_string(off));
    };
    expect("cfg 2", {1, 2, 1, 1}, m.cfg);
    expect("ulysses 2", {1, 1, 2, 1}, m.ulysses);
    expect("ring 2", {1, 1, 1, 2}, m.ring);
  }
}

// The order of the measured ones: a step's share by Ulysses is a little faster than by a ring.
TEST(PredictStep, PrefersWhatWasMeasuredFaster) {
  const GridWork work = work_of(models[0]);
  EXPECT_EQ(choose_grid({}, work, 2, gpu_speed(false)), (ProcessGrid{1, 2, 1, 1}));
  EXPECT_EQ(choose_grid({}, work, 4, gpu_speed(false)), (ProcessGrid{1, 2, 2, 1}));
  GridWork unguided = work;
  unguided.guided = false;
  EXPECT_EQ(choose_grid({}, unguided, 2, gpu_speed(false)), (ProcessGrid{1, 1, 2, 1}));
}

TEST(PredictStep, CountsTheBytesThatWereSent) {
  const StepPrediction ulysses = predict_step({1, 1, 2, 1}, work_of(models[0]), gpu_speed(false));
  EXPECT_NEAR(ulysses.bytes_per_rank / 6042516480.0, 1, 0.01);
  const StepPrediction halves = predict_step({1, 2, 1, 1}, work_of(models[0]), gpu_speed(false));
  EXPECT_NEAR(halves.bytes_per_rank / 8386560.0, 1, 0.01);
}

// What stays on a node and what leaves it are told apart.
TEST(PredictStep, TheNetworkCountsWhereRanksAreOnSeveralNodes) {
  GridWork work = work_of(models[0]);
  MachineSpeed slow = gpu_speed(false);
  slow.network_bytes /= 10;
  const ProcessGrid ulysses4{1, 2, 4, 1};
  const auto seconds = [&](const MachineSpeed& speed) {
    return predict_step(ulysses4, work, speed).exchange_seconds;
  };
  EXPECT_EQ(seconds(slow), seconds(gpu_speed(false)));  // 8 ranks of one node
  work.ranks_per_node = 4;                              // each half on a node of its own
  const double halves_apart = seconds(gpu_speed(false));
  EXPECT_GT(seconds(slow), halves_apart);
  work.ranks_per_node = 2;
  const double ulysses_apart = seconds(gpu_speed(false));
  EXPECT_GT(ulysses_apart, 2 * halves_apart);
  work.ranks_per_node = 3;  // a run of 4 has a rank without any neighbour on its node
  EXPECT_GT(seconds(gpu_speed(false)), 1.2 * ulysses_apart);
}

TEST(PredictStep, OverlapsTravelBetweenGroupsOnly) {
  GridWork work = work_of(models[0]);
  work.window_tokens.assign(2, work.window_tokens[0]);
  work.window_flops.assign(2, work.window_flops[0]);
  const MachineSpeed speed = gpu_speed(false);
  const double without = predict_step({2, 1, 1, 1}, work, speed).seconds;
  work.overlaps = {{0, 1, 2.85e10}, {1, 0, 2.85e10}};
  const StepPrediction two = predict_step({2, 1, 1, 1}, work, speed);
  EXPECT_NEAR(two.seconds - without, 0.1 + speed.latency, 1e-9);
  EXPECT_NEAR(two.bytes_per_rank, 2.85e10, 1);
  EXPECT_EQ(predict_step({}, work, speed).exchange_seconds, 0);  // both windows on one rank
}

}  // namespace
}  // namespace weft
