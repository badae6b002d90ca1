// The record that a watchdog reads while another thread writes it.
#include "weft/base/activity.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Activity, Text) {
  EXPECT_EQ(activity_text({}), "start");
  EXPECT_EQ(activity_text({Stage::wait}), "wait");
  EXPECT_EQ(activity_text({Stage::denoise, 12}), "denoise, step 12");
  EXPECT_EQ(activity_text({Stage::denoise, 0, 3}), "denoise, step 0, window 3");  // 0 is a number
  EXPECT_EQ(activity_text({Stage::decode, 7}), "decode, chunk 7");
}

// Catches fields that overlap or are cut: every stage, both ends of the numbers, each alone.
TEST(Activity, OneWordHoldsAllOfIt) {
  for (int s = 0; s < stage_count; ++s) {
    for (const std::int64_t n : {Activity::none, std::int64_t{0}, Activity::largest}) {
      for (const std::int64_t m : {Activity::none, std::int64_t{5}, Activity::largest}) {
        const Activity back = unpack_activity(pack_activity({static_cast<Stage>(s), n, m}));
        ASSERT_TRUE(back.stage);
        EXPECT_EQ(static_cast<int>(*back.stage), s);
        EXPECT_EQ(back.a, n);
        EXPECT_EQ(back.b, m);
      }
    }
  }
  EXPECT_EQ(unpack_activity(pack_activity({Stage::load, 1LL << 40, -9})).a, Activity::largest);
  EXPECT_EQ(unpack_activity(pack_activity({Stage::load, 1LL << 40, -9})).b, Activity::none);
}

// A record comes from another process: a stage that does not exist must not become a table index.
TEST(Activity, UnknownWordsAreNoActivity) {
  EXPECT_FALSE(unpack_activity(0).stage);
  EXPECT_FALSE(unpack_activity(~std::uint64_t{0}).stage);
  EXPECT_FALSE(unpack_activity(std::uint64_t{stage_count + 1} << 56).stage);
}

TEST(Activity, EveryCallIsProgress) {
  const std::uint64_t before = progress_count();
  set_activity(Stage::denoise, 4, 2);
  note_progress();
  EXPECT_EQ(progress_count(), before + 2);
  EXPECT_EQ(activity_text(current_activity()), "denoise, step 4, window 2");
}

// Catches a record stored in several words: a reader would see the numbers of two records mixed.
TEST(Activity, AReaderNeverSeesHalfARecord) {
  std::atomic<bool> done{false};
  set_activity(Stage::denoise, 0, 0);
  std::thread writer([&] {
    for (std::int64_t i = 0; i < 300000; ++i) {
      set_activity(i % 2 == 0 ? Stage::denoise : Stage::exchange, i, i);
    }
    done = true;
  });
  int mixed = 0;
  while (!done) {
    const Activity seen = current_activity();
    const Stage want = seen.a % 2 == 0 ? Stage::denoise : Stage::exchange;
    mixed += seen.a == seen.b && seen.stage == want ? 0 : 1;
  }
  writer.join();
  EXPECT_EQ(mixed, 0);
}

}  // namespace
}  // namespace weft
