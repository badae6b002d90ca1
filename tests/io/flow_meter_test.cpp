#include "weft/io/flow_meter.h"

#include <functional>

#include <gtest/gtest.h>

#include "weft/base/error.h"

#include "support/moving_texture.h"

namespace weft {
namespace {

using test::brighter;
using test::Rgb;
using test::texture;
using test::with_noise;

constexpr std::int64_t width = 160, height = 96;
constexpr int frames = 6;

class FlowMeterOf : public testing::Test {
 protected:
  void SetUp() override {
    if (!FlowMeter::available()) GTEST_SKIP() << "built without OpenCV: nothing finds the flow";
  }
};

FlowMeter measured(const std::function<Rgb(int frame)>& frame_of) {
  FlowMeter meter(width, height);
  for (int f = 0; f < frames; ++f) meter.add(frame_of(f));
  return meter;
}
double error_of(const std::function<Rgb(int frame)>& frame_of) {
  return measured(frame_of).warping_error().value();
}
Rgb panned(int f) { return texture(width, height, 2.3 * f, 0.7 * f); }

TEST_F(FlowMeterOf, AStillClipHasNone) {
  const FlowMeter meter = measured([](int) { return texture(width, height); });
  EXPECT_EQ(meter.warping_error(), 0.0);
  ASSERT_EQ(meter.steps().size(), frames - 1U);
  for (const auto& step : meter.steps()) EXPECT_EQ(step.counted, 1.0);
}

// Frames that differ much by themselves are near when moved by the flow.
TEST_F(FlowMeterOf, ATranslationHasLittle) {
  const FlowMeter meter = measured(panned);
  EXPECT_GT(*meter.warping_error(), 0.0);
  EXPECT_LT(*meter.warping_error(), 2e-5);
  for (const auto& step : meter.steps()) EXPECT_GT(step.counted, 0.9);
  double unmoved = 0;
  const Rgb a = panned(0), b = panned(1);
  for (std::size_t i = 0; i < a.size(); ++i) unmoved += (a[i] - b[i]) * (a[i] - b[i]);
  unmoved /= 255.0 * 255.0 * static_cast<double>(a.size());
  EXPECT_GT(unmoved, 50 * *meter.warping_error());
}

// The scale: brightness that jumps by k costs k^2, noise of deviation s some 2 s^2.
TEST_F(FlowMeterOf, FlickerCostsItsSquare) {
  const double k = 8 / 255.0;
  for (const auto& base : {std::function<Rgb(int)>([](int) { return texture(width, height); }),
                           std::function<Rgb(int)>(panned)}) {
    const double error = error_of([&](int f) { return brighter(base(f), f % 2 == 0 ? 0 : 8); });
    EXPECT_NEAR(error, k * k, 0.05 * k * k);
  }
}

TEST_F(FlowMeterOf, NoiseCostsTwiceItsVariance) {
  const double s = 6 / 255.0;
  const double error = error_of([](int f) { return with_noise(panned(f), 6, 100U + f); });
  // A flow that fits some of the noise, and pixels between others, which average it, take some off.
  EXPECT_LT(error, 2.1 * s * s);
  EXPECT_GT(error, 1.0 * s * s);
}

TEST_F(FlowMeterOf, OrdersClipsByTheirFlicker) {
  std::vector<double> errors{error_of([](int) { return texture(width, height); }),
                             error_of(panned)};
  for (const int jump : {3, 6, 12}) {
    errors.push_back(error_of([&](int f) { return brighter(panned(f), f % 2 == 0 ? 0 : jump); }));
  }
  for (std::size_t i = 1; i < errors.size(); ++i) EXPECT_LT(errors[i - 1], errors[i]) << i;
  double before = error_of(panned);
  for (const double deviation : {2.0, 5.0, 12.0}) {
    const double error = error_of([&](int f) { return with_noise(panned(f), deviation, 7U + f); });
    EXPECT_LT(before, error) << deviation;
    before = error;
  }
}

// What comes into the picture has nothing to be compared with: it must not count.
TEST_F(FlowMeterOf, WhatWasNotThereBeforeDoesNotCount) {
  const FlowMeter meter = measured([](int f) { return texture(width, height, 8.0 * f, 0); });
  for (const auto& step : meter.steps()) {
    EXPECT_LT(step.counted, 1 - 7.0 / width);
    EXPECT_GT(step.counted, 1 - 20.0 / width);
    EXPECT_LT(*step.error, 1e-4);
  }
}

TEST_F(FlowMeterOf, TheSameClipGivesTheSameFigure) {
  const auto noisy = [](int f) { return with_noise(panned(f), 5, 3U + f); };
  EXPECT_EQ(error_of(noisy), error_of(noisy));
}

TEST_F(FlowMeterOf, EverySizeIsTaken) {
  const auto smallest = FlowMeter::smallest_side;
  for (const auto& [w, h] :
       {std::pair{smallest, smallest}, {smallest, 201L}, {513L, smallest}, {65L, 33L}}) {
    FlowMeter meter(w, h);
    meter.add(texture(w, h));
    EXPECT_FALSE(meter.warping_error());
    meter.add(texture(w, h));
    EXPECT_EQ(meter.warping_error(), 0.0) << w << " x " << h;
  }
  FlowMeter tiny(smallest - 1, 64);
  for (int f = 0; f < 3; ++f) tiny.add(texture(smallest - 1, 64));
  EXPECT_FALSE(tiny.warping_error());
  EXPECT_TRUE(tiny.steps().empty());
}

TEST(FlowMeterAbsent, SaysWhatIsMissing) {
  if (FlowMeter::available()) GTEST_SKIP() << "built with OpenCV";
  EXPECT_THROW(FlowMeter(64, 64), Error);
}

}  // namespace
}  // namespace weft
