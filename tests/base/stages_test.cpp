#include "weft/base/stages.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace weft {
namespace {

double seconds_of(const Profile& profile, Stage stage) {
  return profile.seconds()[static_cast<std::size_t>(stage)];
}

TEST(Stages, NamesAreDistinct) {
  std::set<std::string> names;
  for (int i = 0; i < stage_count; ++i) names.insert(stage_name(static_cast<Stage>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(stage_count));
  EXPECT_STREQ(stage_name(Stage::load), "load");
  EXPECT_STREQ(stage_name(Stage::wait), "wait");
}

TEST(Profile, EmptyHasNoTime) {
  for (const double s : Profile().seconds()) EXPECT_EQ(s, 0);
}

// denoise 0..10 holds exchange 2..5, which holds wait 3..4; exchange 7..8; then decode 10..12.
// Inner spans end first, as ScopedStage adds them.
TEST(Profile, TimeInsideANestedSpanCountsForTheNestedStage) {
  Profile profile;
  profile.add({Stage::wait, 3, 4, 0});
  profile.add({Stage::exchange, 2, 5, 100});
  profile.add({Stage::exchange, 7, 8, 20});
  profile.add({Stage::denoise, 0, 10, 0});
  profile.add({Stage::decode, 10, 12, 0});
  EXPECT_DOUBLE_EQ(seconds_of(profile, Stage::denoise), 10 - 3 - 1);
  EXPECT_DOUBLE_EQ(seconds_of(profile, Stage::exchange), 3 - 1 + 1);
  EXPECT_DOUBLE_EQ(seconds_of(profile, Stage::wait), 1);
  EXPECT_DOUBLE_EQ(seconds_of(profile, Stage::decode), 2);
  double sum = 0;
  for (const double s : profile.seconds()) sum += s;
  EXPECT_DOUBLE_EQ(sum, 12);  // the columns add up to the wall clock
  EXPECT_EQ(profile.bytes()[static_cast<std::size_t>(Stage::exchange)], 120);
}

TEST(Profile, AStageInsideItselfCountsOnce) {
  Profile profile;
  profile.add({Stage::load, 1, 2, 0});
  profile.add({Stage::load, 0, 4, 0});
  EXPECT_DOUBLE_EQ(seconds_of(profile, Stage::load), 4);
}

// The order of a span that begins with its parent: the longer one is the parent.
TEST(Profile, SpansThatBeginTogetherNestByLength) {
  Profile profile;
  profile.add({Stage::exchange, 0, 1, 0});
  profile.add({Stage::denoise, 0, 5, 0});
  EXPECT_DOUBLE_EQ(seconds_of(profile, Stage::denoise), 4);
  EXPECT_DOUBLE_EQ(seconds_of(profile, Stage::exchange), 1);
}

TEST(ScopedStage, RecordsItsScopeOnceWithItsBytes) {
  Profile profile;
  {
    const ScopedStage outer(profile, Stage::gather);
    ScopedStage inner(profile, Stage::exchange);
    inner.add_bytes(3);
    inner.add_bytes(4);
    EXPECT_TRUE(profile.spans().empty());
  }
  ASSERT_EQ(profile.spans().size(), 2U);
  EXPECT_EQ(profile.spans()[0].stage, Stage::exchange);
  EXPECT_EQ(profile.spans()[0].bytes, 7);
  EXPECT_EQ(profile.spans()[1].stage, Stage::gather);
  EXPECT_LE(profile.spans()[1].begin, profile.spans()[0].begin);
  EXPECT_GE(profile.spans()[1].end, profile.spans()[0].end);
}

// What a profiler was told, in order.
std::vector<std::string>& told() {
  static std::vector<std::string> list;
  return list;
}

TEST(ScopedStage, TellsTheProfilerOfRangesWithTheNamesOfStages) {
  static constexpr RangeHooks hooks{[](const char* name) { told().push_back(name); },
                                    [] { told().push_back("pop"); }};
  told().clear();
  Profile profile;
  {
    const ScopedStage untold(profile, Stage::load);
    set_range_hooks(&hooks);
    const ScopedStage outer(profile, Stage::denoise);
    { const ScopedStage inner(profile, Stage::exchange); }
    set_range_hooks(nullptr);
    const ScopedStage untold_too(profile, Stage::wait);
  }
  EXPECT_EQ(told(), (std::vector<std::string>{"denoise", "exchange", "pop", "pop"}));
}

}  // namespace
}  // namespace weft
