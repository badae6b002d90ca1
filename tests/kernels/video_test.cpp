#include "reference/video.h"

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(VideoTest);

const Shape videos[] = {{1, 1, 1, 2}, {3, 5, 7, 6}, {2, 30, 52, 16}, {5, 8, 9, 34}};

TEST_P(VideoTest, upsample2x) {
  for (const Shape& shape : videos) {
    SCOPED_TRACE(shape.str());
    const Tensor x = random_tensor(shape, 1);
    const Tensor y = run({shape[0], 2 * shape[1], 2 * shape[2], shape[3]},
                         [&](const Backend& on, Tensor out) { on.ops.upsample2x(on.in(x), out); });
    EXPECT_EQ(relative_error(y, reference::upsample2x(x)), 0);
  }
}

TEST_P(VideoTest, channels_to_frames) {
  for (const Shape& shape : videos) {
    SCOPED_TRACE(shape.str());
    const Tensor x = random_tensor(shape, 1);
    const Tensor y =
        run({2 * shape[0], shape[1], shape[2], shape[3] / 2},
            [&](const Backend& on, Tensor out) { on.ops.channels_to_frames(on.in(x), out); });
    EXPECT_EQ(relative_error(y, reference::channels_to_frames(x)), 0);
  }
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
                                                       {{2, 20, 31, 64}, 32, 1, 0}}) {
    SCOPED_TRACE(
        fmt::format("{} to {} channels, growth {} less {}", shape.str(), outputs, ft, drop_first));
    const Tensor x = random_tensor(shape, 1);
    const Tensor y =
        random_tensor({shape[0] * ft - drop_first, 2 * shape[1], 2 * shape[2], outputs}, 2);
    const Tensor sum =
        run_on(y, [&, growth = ft, drop = drop_first](const Backend& on, Tensor out) {
          on.ops.add_dup_up(on.in(x), growth, drop, out);
        });
    EXPECT_LT(relative_error(sum, reference::add_dup_up(x, ft, drop_first, y)), kernel_f32);
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
    SCOPED_TRACE(fmt::format("{} to {} channels, {} frames", shape.str(), outputs, ft));
    const Tensor x = random_tensor(shape, 1);
    const Tensor y =
        random_tensor({(shape[0] + ft - 1) / ft, shape[1] / 2, shape[2] / 2, outputs}, 2);
    const Tensor sum = run_on(y, [&, frames = ft](const Backend& on, Tensor out) {
      on.ops.add_avg_down(on.in(x), frames, out);
    });
    EXPECT_LT(relative_error(sum, reference::add_avg_down(x, ft, y)), kernel_f32);
  }
}

// Spec 6.2: with C to 2C channels and pairs of frames, output 2c + a is the mean of channel c in
// frame a; the first frame of a clip stands alone, so outputs 2c get nothing.
TEST_P(VideoTest, add_avg_down_of_the_first_frame) {
  const Tensor x = random_tensor({1, 2, 2, 3}, 1);
  const Tensor y = run_on(Tensor::zeros({1, 1, 1, 6}), [&](const Backend& on, Tensor out) {
    on.ops.add_avg_down(on.in(x), 2, out);
  });
  for (std::int64_t c = 0; c < 3; ++c) {
    double mean = 0;
    for (std::int64_t p = 0; p < 4; ++p) mean += reference::at(x, p * 3 + c) / 4;
    EXPECT_EQ(y.data<float>()[2 * c], 0);
    EXPECT_NEAR(reference::at(y, 2 * c + 1), mean, 1e-6);
  }
}

TEST_P(VideoTest, pixel_patchify_and_back) {
  for (const std::int64_t p : {1, 2, 3}) {
    SCOPED_TRACE(p);
    const Tensor x = random_tensor({3, 4 * p, 5 * p, 3}, 1);
    const Tensor y = run({3, 4, 5, 3 * p * p}, [&](const Backend& on, Tensor out) {
      on.ops.pixel_patchify(on.in(x), p, out);
    });
    EXPECT_EQ(relative_error(y, reference::pixel_patchify(x, p)), 0);
    const Tensor back = run(x.shape(), [&](const Backend& on, Tensor out) {
      on.ops.pixel_unpatchify(on.in(y), p, out);
    });
    EXPECT_TRUE(same_bits(back, x));
  }
}

}  // namespace
}  // namespace weft
