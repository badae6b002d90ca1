// Predictions against what was measured on four H200s or H100s of one node
// (bench/results/parallel-h200, parallel-h100: both compute and exchange at the same speed).
#include <gtest/gtest.h>

#include "weft/grid/cost.h"
#include "weft/grid/process_grid.h"

namespace weft {
namespace {

struct Shared {
  ProcessGrid grid;
  double speed_up;  // against one GPU of the same run
};

struct Measured {
  const char* name;
  TransformerSize size;
  std::int64_t tokens;
  double one;  // seconds of a step on one GPU
  std::vector<Shared> shared;
  bool fp8 = false;
};

constexpr ProcessGrid halves{1, 2, 1, 1}, ulysses2{1, 1, 2, 1}, ring2{1, 1, 1, 2},
    ulysses4{1, 1, 4, 1}, ring4{1, 1, 1, 4}, halves_ulysses{1, 2, 2, 1}, halves_ring{1, 2, 1, 2};

const std::vector<Measured> models{
    {"1.3B",
     {.dim = 1536, .ffn = 8960, .layers = 30, .heads = 12},
     32760,
     0.8625,
     {{halves, 2.021},
      {ulysses2, 1.834},
      {ring2, 1.901},
      {ulysses4, 3.480},
      {ring4, 3.678},
      {halves_ulysses, 3.779},
      {halves_ring, 3.897}}},
    {"5B",
     {.dim = 3072, .ffn = 14336, .layers = 30, .heads = 24, .in_channels = 48, .out_channels = 48},
     27280,
     1.5675,
     {{halves, 1.985},
      {ulysses2, 1.824},
      {ring2, 1.891},
      {halves_ulysses, 3.779},
      {halves_ring, 3.680}}},
    {"14B",
     {.dim = 5120, .ffn = 13824, .layers = 40, .heads = 40},
     32760,
     4.9256,
     {{halves, 1.991}, {halves_ulysses, 3.629}, {halves_ring, 3.818}}},
    {"1.3B in fp8",
     {.dim = 1536, .ffn = 8960, .layers = 30, .heads = 12},
     32760,
     0.6087,
     {{halves, 1.987},
      {ulysses2, 1.814},
      {ring2, 1.870},
      {ring4, 3.670},
      {halves_ulysses, 3.667},
      {halves_ring, 3.841}},
     true},
    {"5B in fp8",
     {.dim = 3072, .ffn = 14336, .layers = 30, .heads = 24, .in_channels = 48, .out_channels = 48},
     27280,
     1.0243,
     {{halves, 1.991}, {ring2, 1.821}, {halves_ring, 3.725}},
     true},
    {"14B in fp8",
     {.dim = 5120, .ffn = 13824, .layers = 40, .heads = 40},
     32760,
     3.1998,
     {{halves, 1.992}, {halves_ring, 3.738}},
     true}};

GridWork work_of(const Measured& m) {
  return {.window_tokens = {m.tokens},
          .heads = m.size.heads,
          .head_dim = m.size.dim / m.size.heads,
          .layers = m.size.layers,
          .window_flops = {transformer_flops(m.size, m.tokens).total()},
          .guided = true,
          .element_bytes = 2,
          .ring_bytes = m.fp8 ? 1. : 2.,
          .ranks_per_node = 8};
}

TEST(PredictStep, StaysWithinFivePercentOfFourGpus) {
  for (const Measured& m : models) {
    const GridWork work = work_of(m);
    const MachineSpeed speed = gpu_speed(m.fp8);
    const double one = predict_step({}, work, speed).seconds;
    // One rate stands for all sizes; in fp8 the smaller ones are slower.
    EXPECT_NEAR(one / m.one, 1, m.fp8 ? 0.1 : 0.05) << m.name;
    for (const Shared& shared : m.shared) {
      const double predicted = one / predict_step(shared.grid, work, speed).seconds;
      const double off = predicted / shared.speed_up - 1;
      EXPECT_NEAR(off, 0, 0.05) << m.name << ", " << shared.grid.str() << ": speed-up of "
                                << predicted << " predicted, " << shared.speed_up << " measured";
      RecordProperty(std::string(m.name) + " " + shared.grid.str(), std::to_string(off));
    }
  }
}

TEST(PredictStep, PrefersWhatWasMeasuredFastest) {
  for (const Measured& m : models) {
    const GridWork work = work_of(m);
    const MachineSpeed speed = gpu_speed(m.fp8);
    EXPECT_EQ(choose_grid({}, work, 2, speed), halves) << m.name;
    EXPECT_EQ(choose_grid({}, work, 4, speed), halves_ring) << m.name;
    GridWork unguided = work;
    unguided.guided = false;
    EXPECT_EQ(choose_grid({}, unguided, 2, speed), ring2) << m.name;
  }
}

TEST(PredictStep, CountsTheBytesThatWereSent) {
  const StepPrediction ring = predict_step(ring4, work_of(models[3]), gpu_speed(true));
  EXPECT_NEAR(ring.bytes_per_rank / 4536e6, 1, 0.01);
  const StepPrediction ulysses = predict_step(ulysses2, work_of(models[0]), gpu_speed(false));
  EXPECT_NEAR(ulysses.bytes_per_rank / 6042516480.0, 1, 0.01);
  const StepPrediction swapped = predict_step(halves, work_of(models[0]), gpu_speed(false));
  EXPECT_NEAR(swapped.bytes_per_rank / 8386560.0, 1, 0.01);
}

// What stays on a node and what leaves it are told apart.
TEST(PredictStep, TheNetworkCountsWhereRanksAreOnSeveralNodes) {
  GridWork work = work_of(models[0]);
  MachineSpeed slow = gpu_speed(false);
  slow.network_bytes /= 10;
  const ProcessGrid eight{1, 2, 4, 1};
  const auto seconds = [&](const MachineSpeed& speed) {
    return predict_step(eight, work, speed).exchange_seconds;
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
  work.overlaps = {{0, 1, 2.35e10}, {1, 0, 2.35e10}};
  const StepPrediction two = predict_step({2, 1, 1, 1}, work, speed);
  EXPECT_NEAR(two.seconds - without, 0.1 + speed.latency, 1e-9);
  EXPECT_NEAR(two.bytes_per_rank, 2.35e10, 1);
  EXPECT_EQ(predict_step({}, work, speed).exchange_seconds, 0);  // both windows on one rank
}

}  // namespace
}  // namespace weft
