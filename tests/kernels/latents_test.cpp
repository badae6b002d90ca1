#include "reference/latents.h"

#include <array>

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(LatentsTest);

const Shape volumes[] = {{1, 1, 2, 2}, {3, 2, 4, 6}, {16, 5, 10, 14}, {48, 3, 30, 52}};

// Elements past an aligned address at which inputs and outputs begin.
constexpr std::array<std::array<std::int64_t, 2>, 3> starts{{{0, 0}, {1, 3}, {4, 4}}};

TEST_P(LatentsTest, patchify_and_unpatchify) {
  for (const Shape& shape : volumes) {
    for (const auto& [inputs, outputs] : starts) {
      SCOPED_TRACE(fmt::format("{} from {} to {}", shape.str(), inputs, outputs));
      start_at(inputs, outputs);
      // A copy, but for the rounding to the activation type.
      const Tensor z = random_act(shape, 1);
      const Shape tokens{shape[1] * shape[2] / 2 * shape[3] / 2, 4 * shape[0]};
      const auto patchify = [&](const Backend& on, Tensor out) { on.ops.patchify(on.in(z), out); };
      EXPECT_EQ(relative_error(run(tokens, patchify), reference::patchify(z)), 0);
      EXPECT_EQ(relative_error(run(tokens, patchify, DType::f32), reference::patchify(z)), 0);
      const Tensor features = random_act(tokens, 2);
      const Tensor back = run(
          shape, [&](const Backend& on, Tensor out) { on.ops.unpatchify(on.act(features), out); },
          DType::f32);
      EXPECT_EQ(relative_error(back, reference::unpatchify(features, shape)), 0);
    }
  }
}

TEST_P(LatentsTest, unpatchify_of_float32_rounds_nothing) {
  const Tensor features = random_tensor({2 * 3 * 5, 4 * 16}, 1);
  const Shape shape{16, 2, 6, 10};
  const Tensor z = run(
      shape, [&](const Backend& on, Tensor out) { on.ops.unpatchify(on.in(features), out); },
      DType::f32);
  EXPECT_EQ(relative_error(z, reference::unpatchify(features, shape)), 0);
}

TEST_P(LatentsTest, patchify_rounds_to_the_activation_type) {
  const Tensor z = random_tensor({16, 2, 6, 10}, 1);
  const Tensor y = run({2 * 3 * 5, 4 * 16},
                       [&](const Backend& on, Tensor out) { on.ops.patchify(on.in(z), out); });
  const Tensor rounded = as_float(z.as(ops().activation()));
  EXPECT_EQ(relative_error(y, reference::patchify(rounded)), 0);
}

TEST_P(LatentsTest, add_weighted_touches_its_box_only) {
  const Tensor sum = random_tensor({3, 6, 9, 35}, 1);
  const std::array<std::int64_t, 3> origin{2, 3, 5};
  const Tensor v = random_tensor({3, 4, 5, 29}, 2);
  const auto wt = random_values(4, 3), wh = random_values(5, 4), ww = random_values(29, 5);
  const Tensor y = run_on(
      sum,
      [&](const Backend& on, Tensor out) {
        on.ops.add_weighted(out, on.in(v), origin, wt, wh, ww);
      },
      DType::f32);
  EXPECT_LT(relative_error(y, reference::add_weighted(sum, v, origin, wt, wh, ww)), kernel_f32);
  for (std::int64_t c = 0; c < 3; ++c) {  // outside the box: not a bit
    for (std::int64_t t = 0; t < 6; ++t) {
      for (std::int64_t h = 0; h < 9; ++h) {
        for (std::int64_t w = 0; w < 35; ++w) {
          const bool inside = t >= 2 && h >= 3 && h < 8 && w >= 5 && w < 34;
          const std::int64_t i = ((c * 6 + t) * 9 + h) * 35 + w;
          if (!inside) {
            ASSERT_EQ(y.data<float>()[i], sum.data<float>()[i]) << i;
          }
        }
      }
    }
  }
}

// More weights than fit in one launch on CUDA.
TEST_P(LatentsTest, add_weighted_of_the_whole_volume) {
  const Tensor sum = random_tensor({2, 3, 4, 1000}, 1);
  const Tensor v = random_tensor({2, 3, 4, 1000}, 2);
  const std::array<std::int64_t, 3> origin{0, 0, 0};
  const auto wt = random_values(3, 3), wh = random_values(4, 4), ww = random_values(1000, 5);
  start_at(1, 3);
  const Tensor y = run_on(
      sum,
      [&](const Backend& on, Tensor out) {
        on.ops.add_weighted(out, on.in(v), origin, wt, wh, ww);
      },
      DType::f32);
  EXPECT_LT(relative_error(y, reference::add_weighted(sum, v, origin, wt, wh, ww)), kernel_f32);
}

TEST_P(LatentsTest, to_video_and_back) {
  for (const Shape& shape : volumes) {
    for (const auto& [inputs, outputs] : starts) {
      SCOPED_TRACE(fmt::format("{} from {} to {}", shape.str(), inputs, outputs));
      start_at(inputs, outputs);
      const std::int64_t channels = shape[0];
      const auto scale = random_values(channels, 1), shift = random_values(channels, 2);
      const Tensor z = random_tensor(shape, 3);
      const Shape video{shape[1], shape[2], shape[3], channels};
      const auto to_video = [&](const Backend& on, Tensor out) {
        on.ops.latents_to_video(on.in(z), scale, shift, out);
      };
      const auto expected = reference::latents_to_video(z, scale, shift);
      EXPECT_LT(relative_error(run(video, to_video), expected), bound());
      EXPECT_LT(relative_error(run(video, to_video, DType::f32), expected), kernel_f32);
      // The encoder gives twice the channels; the first half are the means.
      const Tensor moments = random_act({shape[1], shape[2], shape[3], 2 * channels}, 4);
      const auto means = reference::video_to_latents(moments, scale, shift);
      const Tensor back = run(
          shape,
          [&](const Backend& on, Tensor out) {
            on.ops.video_to_latents(on.act(moments), scale, shift, out);
          },
          DType::f32);
      EXPECT_LT(relative_error(back, means), kernel_f32);
      const Tensor from_float = run(
          shape,
          [&](const Backend& on, Tensor out) {
            on.ops.video_to_latents(on.in(moments), scale, shift, out);
          },
          DType::f32);
      EXPECT_LT(relative_error(from_float, means), kernel_f32);
    }
  }
}

}  // namespace
}  // namespace weft
