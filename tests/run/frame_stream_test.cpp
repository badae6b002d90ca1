#include "weft/run/frame_stream.h"

#include <atomic>
#include <chrono>

#include <gtest/gtest.h>

#include "support/moving_texture.h"

namespace weft {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t side = 4;

/// Remembers the first byte of every frame; waits at each until it is let go.
class SlowEncoder final : public VideoEncoder {
 public:
  struct Seen {
    std::vector<int> frames;
    std::atomic<int> let_go{0};
    std::atomic<bool> finished{false};
    int fail_at = -1;
  };
  explicit SlowEncoder(Seen& seen) : seen_(seen) {}
  void write(std::span<const std::uint8_t> rgb) override {
    while (static_cast<int>(seen_.frames.size()) >= seen_.let_go) std::this_thread::sleep_for(1ms);
    if (static_cast<int>(seen_.frames.size()) == seen_.fail_at) fail("disk full");
    seen_.frames.push_back(rgb.front());
  }
  void finish() override { seen_.finished = true; }

 private:
  Seen& seen_;
};

Tensor frames_of(std::uint8_t first, std::int64_t count) {
  Tensor t = Tensor::empty({count, side, side, 3}, DType::u8);
  for (std::int64_t f = 0; f < count; ++f) {
    for (auto& byte : t.slice(f, f + 1).span<std::uint8_t>()) {
      byte = static_cast<std::uint8_t>(first + f);
    }
  }
  return t;
}

TEST(FrameStream, KeepsTheOrder) {
  SlowEncoder::Seen seen;
  seen.let_go = 100;
  FrameStream stream(std::make_unique<SlowEncoder>(seen), {}, SeamMeter({}, side, side));
  stream.push(frames_of(0, 1));
  stream.push(frames_of(1, 4));
  stream.push(frames_of(5, 4));
  stream.finish();
  EXPECT_EQ(seen.frames, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_TRUE(seen.finished);
  EXPECT_EQ(stream.frames(), 9);
}

// The flow is measured beside the encoder, of the same frames in the same order.
TEST(FrameStream, MeasuresWhatItEncodes) {
  if (!FlowMeter::available()) GTEST_SKIP() << "built without OpenCV: nothing finds the flow";
  constexpr std::int64_t width = 64, height = 48, frames = 9;
  Tensor all = Tensor::empty({frames, height, width, 3}, DType::u8);
  FlowMeter alone(width, height);
  for (std::int64_t f = 0; f < frames; ++f) {
    const auto frame = test::texture(width, height, 0.4 * static_cast<double>(f * f), 0);
    std::ranges::copy(frame, all.slice(f, f + 1).span<std::uint8_t>().begin());
    alone.add(frame);
  }
  SlowEncoder::Seen seen;
  seen.let_go = 100;
  FrameStream stream(std::make_unique<SlowEncoder>(seen), {}, SeamMeter({}, width, height),
                     FlowMeter(width, height));
  stream.push(all.slice(0, 1));
  stream.push(all.slice(1, 5));
  stream.push(all.slice(5, 9));
  stream.finish();
  EXPECT_EQ(seen.frames.size(), 9U);
  EXPECT_GT(alone.warping_error().value(), 0);
  EXPECT_EQ(stream.warping_error(), alone.warping_error());
}

TEST(FrameStream, ASlowEncoderHoldsThePusherBack) {
  SlowEncoder::Seen seen;
  FrameStream stream(std::make_unique<SlowEncoder>(seen), {}, SeamMeter({}, side, side));
  std::atomic<int> pushed{0};
  std::thread pusher([&] {
    for (int i = 0; i < 6; ++i) {
      stream.push(frames_of(static_cast<std::uint8_t>(i), 1));
      ++pushed;
    }
  });
  // However long nobody encodes, two pushes are taken and no more.
  for (int waited = 0; waited < 200 && pushed < 2; ++waited) std::this_thread::sleep_for(5ms);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(pushed, 2);
  seen.let_go = 100;
  pusher.join();
  stream.finish();
  EXPECT_EQ(seen.frames.size(), 6U);
}

TEST(FrameStream, TheEncodersErrorReachesThePusher) {
  SlowEncoder::Seen seen;
  seen.let_go = 100;
  seen.fail_at = 2;
  FrameStream stream(std::make_unique<SlowEncoder>(seen), {}, SeamMeter({}, side, side));
  EXPECT_THROW(
      {
        for (int i = 0; i < 50; ++i) stream.push(frames_of(static_cast<std::uint8_t>(i), 1));
        stream.finish();
      },
      Error);
  EXPECT_FALSE(seen.finished);
}

}  // namespace
}  // namespace weft
