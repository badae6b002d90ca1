#include "reference/video.h"

#include <array>

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

const Shape videos[] = {{1, 1, 1, 2},  {3, 5, 7, 6},   {2, 30, 52, 16},
                        {5, 8, 9, 34}, {2, 3, 5, 384}, {1, 2, 90, 96}};

// Elements past an aligned address at which inputs and outputs begin: 16-byte accesses serve the
// first and the last pair.
constexpr std::array<std::array<std::int64_t, 2>, 5> starts{
    {{0, 0}, {1, 1}, {0, 2}, {4, 0}, {8, 16}}};

class VideoTest : public OpTest {
 protected:
  // Runs `op`, which only copies, between all types of input and output that the backend allows.
  template <class Op>
  void expect_copies(const Tensor& x, const Shape& output, const reference::Values& y, Op op) {
    for (const auto& [inputs, outputs] : starts) {
      SCOPED_TRACE(fmt::format("{} from {} to {}", x.shape().str(), inputs, outputs));
      start_at(inputs, outputs);
      for (const DType type : {DType::f32, ops().activation()}) {
        const auto from_act = [&](const Backend& on, Tensor out) { op(on.ops, on.act(x), out); };
        const auto from_float = [&](const Backend& on, Tensor out) { op(on.ops, on.in(x), out); };
        EXPECT_EQ(relative_error(run(output, from_act, type), y), 0);
        EXPECT_EQ(relative_error(run(output, from_float, type), y), 0);
      }
    }
  }

  // Runs `op`, which adds something of x to its output, between all types that the backend allows.
  template <class Op, class Reference>
  void expect_sums(const Tensor& x, const Shape& output, Op op, Reference reference) {
    const Tensor y = random_act(output, 2);
    const auto expected = reference(y);
    for (const auto& [inputs, outputs] : starts) {
      SCOPED_TRACE(fmt::format("from {} to {}", inputs, outputs));
      start_at(inputs, outputs);
      const auto from_act = [&](const Backend& on, Tensor out) { op(on.ops, on.act(x), out); };
      const auto from_float = [&](const Backend& on, Tensor out) { op(on.ops, on.in(x), out); };
      EXPECT_LT(relative_error(run_on(y, from_act), expected), bound());
      EXPECT_LT(relative_error(run_on(y, from_float), expected), bound());
      EXPECT_LT(relative_error(run_on(y, from_act, DType::f32), expected), kernel_f32);
      EXPECT_LT(relative_error(run_on(y, from_float, DType::f32), expected), kernel_f32);
    }
  }
};

WEFT_ON_EVERY_BACKEND(VideoTest);

TEST_P(VideoTest, upsample2x) {
  for (const Shape& shape : videos) {
    const Tensor x = random_act(shape, 1);
    expect_copies(x, {shape[0], 2 * shape[1], 2 * shape[2], shape[3]}, reference::upsample2x(x),
                  [](Ops& ops, const Tensor& in, Tensor out) { ops.upsample2x(in, out); });
  }
}

TEST_P(VideoTest, channels_to_frames) {
  for (const Shape& shape : videos) {
    const Tensor x = random_act(shape, 1);
    expect_copies(x, {2 * shape[0], shape[1], shape[2], shape[3] / 2},
                  reference::channels_to_frames(x),
                  [](Ops& ops, const Tensor& in, Tensor out) { ops.channels_to_frames(in, out); });
  }
}

TEST_P(VideoTest, pixel_patchify_and_back) {
  for (const std::int64_t p : {1, 2, 3}) {
    const Tensor x = random_act({3, 4 * p, 5 * p, 3}, 1);
    const auto patches = reference::pixel_patchify(x, p);
    expect_copies(x, {3, 4, 5, 3 * p * p}, patches,
                  [=](Ops& ops, const Tensor& in, Tensor out) { ops.pixel_patchify(in, p, out); });
    Tensor patched = Tensor::empty({3, 4, 5, 3 * p * p});
    std::copy(patches.begin(), patches.end(), patched.span().begin());
    expect_copies(
        patched, x.shape(), reference::values(x),
        [=](Ops& ops, const Tensor& in, Tensor out) { ops.pixel_unpatchify(in, p, out); });
  }
}

// A grid has at most 65535 blocks in a direction: more lines than that take turns.
TEST_P(VideoTest, more_lines_than_a_grid_has_blocks) {
  const Tensor x = random_act({1, 70000, 1, 2}, 1);
  const Tensor y = run({2, 70000, 1, 1}, [&](const Backend& on, Tensor out) {
    on.ops.channels_to_frames(on.act(x), out);
  });
  EXPECT_EQ(relative_error(y, reference::channels_to_frames(x)), 0);
}

// Videos pass 2^31 elements: what lies past that must come from its own place.
TEST_P(VideoTest, more_elements_than_32_bits_count) {
  if (ops().activation() != DType::bf16) GTEST_SKIP() << "one type shows it, the smallest one";
  const std::int64_t frames = 5, size = 1024, channels = 128;
  const Backend on{ops()};
  Tensor x = Tensor::zeros({frames, size, size, channels}, DType::bf16, DeviceKind::cuda);
  const Tensor corner = random_act({1, 1, 1, channels}, 1);  // the last pixel of the last frame
  weft::copy(on.act(corner), x.reshape({frames * size * size, channels})
                                 .slice(frames * size * size - 1, frames * size * size));
  Tensor y = Tensor::empty({frames, 2 * size, 2 * size, channels}, DType::bf16, DeviceKind::cuda);
  const std::int64_t pixels = frames * 4 * size * size;
  const auto last = [&](std::int64_t count) {
    return as_float(
        y.reshape({pixels, channels}).slice(pixels - count, pixels).to(DeviceKind::cpu));
  };
  ops().upsample2x(x, y);
  const Tensor doubled = last(4);
  for (std::int64_t i = 0; i < channels; ++i) {
    EXPECT_EQ(reference::at(doubled, i), 0);
    EXPECT_EQ(reference::at(doubled, channels + i), 0);
    EXPECT_EQ(reference::at(doubled, 2 * channels + i), reference::at(corner, i));
    EXPECT_EQ(reference::at(doubled, 3 * channels + i), reference::at(corner, i));
  }
  ops().add(y, y);
  ops().add_dup_up(x, 1, 0, y);
  const Tensor tripled = last(1);
  for (std::int64_t i = 0; i < channels; ++i) {
    EXPECT_NEAR(reference::at(tripled, i), 3 * reference::at(corner, i),
                3 * kernel_bf16 * std::abs(reference::at(corner, i)));
  }
  const Tensor as_channels = y.reshape({frames, 2 * size, size, 2 * channels});
  Tensor split =
      Tensor::empty({2 * frames, 2 * size, size, channels}, DType::bf16, DeviceKind::cuda);
  ops().channels_to_frames(as_channels, split);
  const std::int64_t positions = 2 * frames * 2 * size * size;
  const Tensor end = as_float(
      split.reshape({positions, channels}).slice(positions - 1, positions).to(DeviceKind::cpu));
  EXPECT_TRUE(same_bits(end, tripled));
}

TEST_P(VideoTest, add_dup_up) {
  struct Case {
    Shape x;
    std::int64_t outputs, ft, drop_first;
  };
  for (const auto& [shape, outputs, ft, drop_first] : {Case{{1, 1, 1, 1}, 1, 1, 0},
                                                       {{2, 3, 5, 12}, 12, 2, 0},
                                                       {{2, 3, 5, 12}, 12, 2, 1},
                                                       {{1, 3, 5, 12}, 12, 2, 1},
                                                       {{3, 4, 3, 12}, 6, 1, 0},
                                                       {{3, 4, 3, 6}, 12, 2, 0},
                                                       {{3, 4, 3, 24}, 12, 2, 1},
                                                       {{2, 3, 4, 32}, 4, 2, 1},
                                                       {{2, 3, 70, 32}, 32, 2, 1},
                                                       {{2, 20, 31, 64}, 32, 1, 0}}) {
    const Tensor x = random_act(shape, 1);
    const Shape grown{shape[0] * ft - drop_first, 2 * shape[1], 2 * shape[2], outputs};
    const auto add = [growth = ft, drop = drop_first](Ops& ops, const Tensor& in, Tensor out) {
      ops.add_dup_up(in, growth, drop, out);
    };
    const auto reference = [&, growth = ft, drop = drop_first](const Tensor& y) {
      return reference::add_dup_up(x, growth, drop, y);
    };
    SCOPED_TRACE(
        fmt::format("{} to {} channels, growth {} less {}", shape.str(), outputs, ft, drop_first));
    expect_sums(x, grown, add, reference);
  }
}

TEST_P(VideoTest, add_avg_down) {
  struct Case {
    Shape x;
    std::int64_t outputs, ft;
  };
  for (const auto& [shape, outputs, ft] : {Case{{1, 2, 2, 1}, 1, 1},
                                           {{2, 6, 10, 12}, 12, 1},
                                           {{4, 6, 10, 12}, 24, 2},
                                           {{1, 6, 10, 12}, 24, 2},
                                           {{5, 4, 6, 6}, 12, 2},
                                           {{4, 4, 6, 6}, 6, 2},
                                           {{3, 4, 6, 12}, 24, 1},
                                           {{2, 40, 62, 32}, 64, 2}}) {
    const Tensor x = random_act(shape, 1);
    const Shape reduced{(shape[0] + ft - 1) / ft, shape[1] / 2, shape[2] / 2, outputs};
    const auto add = [frames = ft](Ops& ops, const Tensor& in, Tensor out) {
      ops.add_avg_down(in, frames, out);
    };
    const auto reference = [&, frames = ft](const Tensor& y) {
      return reference::add_avg_down(x, frames, y);
    };
    SCOPED_TRACE(fmt::format("{} to {} channels, {} frames", shape.str(), outputs, ft));
    expect_sums(x, reduced, add, reference);
  }
}

// Spec 6.2: with C to 2C channels and pairs of frames, output 2c + a is the mean of channel c in
// frame a; the first frame of a clip stands alone, so outputs 2c get nothing.
TEST_P(VideoTest, add_avg_down_of_the_first_frame) {
  const Tensor x = random_act({1, 2, 2, 3}, 1);
  const Tensor y = run_on(
      Tensor::zeros({1, 1, 1, 6}),
      [&](const Backend& on, Tensor out) { on.ops.add_avg_down(on.act(x), 2, out); }, DType::f32);
  for (std::int64_t c = 0; c < 3; ++c) {
    double mean = 0;
    for (std::int64_t p = 0; p < 4; ++p) mean += reference::at(x, p * 3 + c) / 4;
    EXPECT_EQ(y.data<float>()[2 * c], 0);
    EXPECT_NEAR(reference::at(y, 2 * c + 1), mean, 1e-6);
  }
}

}  // namespace
}  // namespace weft
