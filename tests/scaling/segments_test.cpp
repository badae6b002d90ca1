#include "weft/scaling/segments.h"

#include <random>

#include <gtest/gtest.h>

namespace weft {
namespace {

std::array<double, stage_count> sums(const std::vector<Segment>& segments) {
  std::array<double, stage_count> total{};
  for (const Segment& s : segments) total[static_cast<std::size_t>(s.stage)] += s.end - s.begin;
  return total;
}

TEST(ExclusiveSegments, GiveEveryMomentToTheInnermostSpan) {
  const auto made = exclusive_segments({{Stage::wait, 3, 4},
                                        {Stage::exchange, 2, 5},
                                        {Stage::denoise, 0, 10},
                                        {Stage::decode, 11, 12}});
  const std::vector<Segment> wanted{{Stage::denoise, 0, 2},  {Stage::exchange, 2, 3},
                                    {Stage::wait, 3, 4},     {Stage::exchange, 4, 5},
                                    {Stage::denoise, 5, 10}, {Stage::decode, 11, 12}};
  ASSERT_EQ(made.size(), wanted.size());
  for (std::size_t i = 0; i < made.size(); ++i) {
    EXPECT_EQ(made[i].stage, wanted[i].stage) << i;
    EXPECT_EQ(made[i].begin, wanted[i].begin) << i;
    EXPECT_EQ(made[i].end, wanted[i].end) << i;
  }
}

TEST(ExclusiveSegments, JoinNeighboursOfOneStage) {
  const auto made = exclusive_segments({{Stage::denoise, 0, 1}, {Stage::denoise, 1, 2}});
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].end, 2);
}

/// Random spans that nest.
void nest(std::vector<Span>& spans, std::mt19937& random, double begin, double end, int depth) {
  double at = begin;
  while (end - at > (end - begin) * 0.05) {
    const double from = at + (end - at) * 0.1 * static_cast<double>(random() % 4);
    const double to = from + (end - from) * (0.1 + 0.2 * static_cast<double>(random() % 4));
    spans.push_back({static_cast<Stage>(random() % stage_count), from, to});
    if (depth > 0 && random() % 2 == 0) nest(spans, random, from, to, depth - 1);
    at = to;
  }
}

TEST(ExclusiveSegments, AddUpToTheProfile) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Span> spans;
    nest(spans, random, 0, 100, 3);
    const auto segments = exclusive_segments(spans);
    const auto wanted = exclusive_seconds(spans), made = sums(segments);
    for (std::size_t s = 0; s < stage_count; ++s) EXPECT_NEAR(made[s], wanted[s], 1e-9);
    for (std::size_t i = 1; i < segments.size(); ++i) {
      EXPECT_GE(segments[i].begin, segments[i - 1].end);
    }
  }
}

TEST(Coarser, KeepsProportionsOfPiecesTooShortToShow) {
  std::vector<Segment> fine;
  for (int i = 0; i < 10'000; ++i) {  // a tenth of the time is exchange, in pieces of 1/10,000
    fine.push_back({Stage::denoise, double(i), i + 0.9});
    fine.push_back({Stage::exchange, i + 0.9, double(i + 1)});
  }
  const auto coarse = coarser(fine, 0, 10'000, 500);
  EXPECT_LE(coarse.size(), 500U);
  const auto total = sums(coarse);
  EXPECT_NEAR(total[static_cast<std::size_t>(Stage::exchange)], 1000, 2 * 20);
  EXPECT_NEAR(total[static_cast<std::size_t>(Stage::denoise)], 9000, 2 * 20);
}

TEST(Coarser, LeavesGapsWhereNothingWasDone) {
  std::vector<Segment> fine;
  for (int i = 0; i < 100; ++i) fine.push_back({Stage::decode, double(i), i + 0.5});
  const auto total = sums(coarser(fine, 0, 200, 20));
  EXPECT_NEAR(total[static_cast<std::size_t>(Stage::decode)], 50, 10);
}

TEST(Coarser, LeavesFewSegmentsAsTheyAre) {
  const std::vector<Segment> fine{{Stage::decode, 0.1, 0.2}};
  EXPECT_EQ(coarser(fine, 0, 1, 5).front().begin, 0.1);
}

}  // namespace
}  // namespace weft
