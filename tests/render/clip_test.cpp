#include "weft/render/clip.h"

#include <gtest/gtest.h>

#include "weft/render/plan.h"

namespace weft {
namespace {

/// The 2.1 autoencoder (1/8, 1/4) and a native size of 832 x 480, 81 frames.
ModelFolder model_21() {
  ModelFolder m;
  m.name = "test";
  m.native_size = {{832, 480, 81}};
  return m;
}

Clip sized(const SizeRequest& size, const ModelFolder& model) {
  Clip clip;
  Problems problems;
  set_size(clip, size, model, problems);
  EXPECT_TRUE(problems.empty()) << problems.list().front();
  return clip;
}

TEST(ClipSize, DefaultsToTheModels) {
  const Clip clip = sized({}, model_21());
  EXPECT_EQ(clip.width, 832);
  EXPECT_EQ(clip.latents, whole(21, 60, 104));
  EXPECT_EQ(clip.channels, 16);
}

TEST(ClipSize, NamesTheNearestValidSizes) {
  Clip clip;
  Problems problems;
  set_size(clip, {100, 50, 80}, model_21(), problems);
  ASSERT_EQ(problems.list().size(), 3U);
  EXPECT_NE(problems.list()[0].find("use 96 or 112"), std::string::npos) << problems.list()[0];
  EXPECT_NE(problems.list()[1].find("use 48 or 64"), std::string::npos) << problems.list()[1];
  EXPECT_NE(problems.list()[2].find("use 77 or 81"), std::string::npos) << problems.list()[2];
}

TEST(ClipSize, TheCoarserAutoencoderWantsMultiplesOf32) {
  ModelFolder m = model_21();
  m.vae.space_factor = 16;
  Clip clip;
  Problems problems;
  set_size(clip, {1280, 720, 121}, m, problems);
  ASSERT_EQ(problems.list().size(), 1U);
  EXPECT_NE(problems.list()[0].find("use 704 or 736"), std::string::npos) << problems.list()[0];
}

struct WindowCase {
  SizeRequest size;
  std::optional<std::array<std::int64_t, 3>> window;
  double overlap;
  std::array<std::int64_t, 3> cells, shared;
};

class ClipWindow : public testing::TestWithParam<WindowCase> {};

TEST_P(ClipWindow, FollowsTheRule) {
  const ModelFolder m = model_21();
  Clip clip = sized(GetParam().size, m);
  Problems problems;
  set_window(clip, GetParam().window, GetParam().overlap, m, problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(clip.window.size, GetParam().cells);
  EXPECT_EQ(clip.window.overlap, GetParam().shared);
  EXPECT_NO_THROW(make_window_plan(clip.latents, clip.window));
}

INSTANTIATE_TEST_SUITE_P(
    Rules, ClipWindow,
    testing::Values(
        // The native size, and another shape of no more tokens, are one window.
        WindowCase{{832, 480, 81}, {}, 0.25, {21, 60, 104}, {0, 0, 0}},
        WindowCase{{480, 832, 81}, {}, 0.25, {21, 104, 60}, {0, 0, 0}},
        // Four times as wide, four times as long: windows of the native size.
        WindowCase{{3328, 480, 81}, {}, 0.25, {21, 60, 104}, {0, 0, 26}},
        WindowCase{{832, 480, 321}, {}, 0.25, {21, 60, 104}, {5, 0, 0}},
        // As asked; an overlap is a whole number of patches.
        WindowCase{{832, 480, 81}, {{416, 240, 41}}, 0.3, {11, 30, 52}, {3, 8, 16}},
        WindowCase{{832, 480, 81}, {{832, 480, 81}}, 0.5, {21, 60, 104}, {0, 0, 0}},
        WindowCase{{832, 480, 81}, {{64, 480, 81}}, 0.0, {21, 60, 8}, {0, 0, 0}}));

// ---- scenes ----------------------------------------------------------------------------------

Clip with_scenes(const std::vector<std::int64_t>& frames) {
  Clip clip;
  for (const std::int64_t frame : frames) clip.scenes.push_back({frame, "a prompt"});
  return clip;
}

TEST(SceneOf, IsTheSceneOfTheMiddleFrame) {
  // Latent frames 0 ... 4 are frames 0 ... 16, 4 ... 8 are 13 ... 32: the middles are 8 and 24.
  const Range first{0, 5}, second{4, 9};
  EXPECT_EQ(scene_of(with_scenes({0}), first, 4), 0U);
  EXPECT_EQ(scene_of(with_scenes({0, 8}), first, 4), 1U);  // from frame 8 on, frame 8 included
  EXPECT_EQ(scene_of(with_scenes({0, 9}), first, 4), 0U);
  EXPECT_EQ(scene_of(with_scenes({0, 9}), second, 4), 1U);
  EXPECT_EQ(scene_of(with_scenes({0, 24}), second, 4), 1U);
  EXPECT_EQ(scene_of(with_scenes({0, 25}), second, 4), 0U);
}

TEST(SceneOf, SkipsScenesThatEndBeforeTheMiddle) {
  const Clip clip = with_scenes({0, 2, 4, 40});
  EXPECT_EQ(scene_of(clip, {0, 5}, 4), 2U);
  EXPECT_EQ(scene_of(clip, {4, 9}, 4), 2U);
  EXPECT_EQ(scene_of(clip, {8, 13}, 4), 3U);  // its middle is frame 40
}

TEST(SceneOf, OfOneLatentFrame) {
  EXPECT_EQ(scene_of(with_scenes({0, 1}), {0, 1}, 4), 0U);  // frame 0 alone
  EXPECT_EQ(scene_of(with_scenes({0, 4}), {1, 2}, 4), 1U);  // frames 1 ... 4, of which the last
}

TEST(SceneOf, OverlappingWindowsOfAClipChangeOnce) {
  const ModelFolder m = model_21();
  Clip clip = sized({832, 480, 321}, m);
  Problems problems;
  set_window(clip, {}, 0.25, m, problems);
  clip.scenes = {{0, "a moon"}, {161, "a sun"}};
  std::vector<std::size_t> scenes;
  for (const WindowPlan::Window& w : make_window_plan(clip.latents, clip.window).windows) {
    scenes.push_back(scene_of(clip, w.box.frames(), m.time_factor()));
  }
  // 81 latent frames: windows from 0, 16, 32, 48 and 60; the third has its middle at frame 168.
  EXPECT_EQ(scenes, (std::vector<std::size_t>{0, 0, 1, 1, 1}));
}

TEST(RenderPlan, EveryWindowAndPieceHasARank) {
  const ModelFolder m = model_21();
  Clip clip = sized({3328, 480, 81}, m);
  Problems problems;
  set_window(clip, {}, 0.25, m, problems);
  for (const int ranks : {1, 2, 3, 7, 64}) {
    for (const DecodeKind kind : {DecodeKind::exact, DecodeKind::tiles}) {
      clip.decode = kind;
      const RenderPlan plan = make_render_plan(clip, m, ranks, {});
      std::size_t windows = 0;
      for (int r = 0; r < ranks; ++r) windows += plan.windows_of(r).size();
      // Every rank of a window's group takes part in it.
      EXPECT_EQ(windows,
                plan.windows.windows.size() * static_cast<std::size_t>(plan.grid.group_ranks()));
      ASSERT_EQ(plan.piece_owner.size(), plan.pieces.size());
      for (const int owner : plan.piece_owner) EXPECT_LT(owner, ranks);
      const PlanFigures figures = plan_figures(plan, clip, m, {});
      EXPECT_GE(figures.speedup(), 0.99);
      EXPECT_LE(figures.speedup(), ranks + 1e-9);
      EXPECT_FALSE(describe(plan, clip, m, {}).empty());
    }
  }
}

}  // namespace
}  // namespace weft
