#include "reference/latents.h"

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(LatentsTest);

const Shape volumes[] = {{1, 1, 2, 2}, {3, 2, 4, 6}, {16, 5, 10, 14}, {48, 3, 30, 52}};

TEST_P(LatentsTest, patchify_and_unpatchify) {
  for (const Shape& shape : volumes) {
    SCOPED_TRACE(shape.str());
    const Tensor z = random_tensor(shape, 1);
    const Shape tokens{shape[1] * shape[2] / 2 * shape[3] / 2, 4 * shape[0]};
    const Tensor y =
        run(tokens, [&](const Backend& on, Tensor out) { on.ops.patchify(on.in(z), out); });
    EXPECT_EQ(relative_error(y, reference::patchify(z)), 0);
    const Tensor features = random_tensor(tokens, 2);
    const Tensor back =
        run(shape, [&](const Backend& on, Tensor out) { on.ops.unpatchify(on.in(features), out); });
    EXPECT_EQ(relative_error(back, reference::unpatchify(features, shape)), 0);
  }
}

TEST_P(LatentsTest, add_weighted_touches_its_box_only) {
  const Tensor sum = random_tensor({3, 6, 9, 35}, 1);
  const std::array<std::int64_t, 3> origin{2, 3, 5};
  const Tensor v = random_tensor({3, 4, 5, 29}, 2);
  const auto wt = random_values(4, 3), wh = random_values(5, 4), ww = random_values(29, 5);
  const Tensor y = run_on(sum, [&](const Backend& on, Tensor out) {
    on.ops.add_weighted(out, on.in(v), origin, wt, wh, ww);
  });
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

TEST_P(LatentsTest, to_video_and_back) {
  for (const Shape& shape : volumes) {
    SCOPED_TRACE(shape.str());
    const std::int64_t channels = shape[0];
    const auto scale = random_values(channels, 1), shift = random_values(channels, 2);
    const Tensor z = random_tensor(shape, 3);
    const Shape video{shape[1], shape[2], shape[3], channels};
    const Tensor y = run(video, [&](const Backend& on, Tensor out) {
      on.ops.latents_to_video(on.in(z), scale, shift, out);
    });
    EXPECT_LT(relative_error(y, reference::latents_to_video(z, scale, shift)), kernel_f32);
    // The encoder gives twice the channels; the first half are the means.
    const Tensor moments = random_tensor({shape[1], shape[2], shape[3], 2 * channels}, 4);
    const Tensor back = run(shape, [&](const Backend& on, Tensor out) {
      on.ops.video_to_latents(on.in(moments), scale, shift, out);
    });
    EXPECT_LT(relative_error(back, reference::video_to_latents(moments, scale, shift)), kernel_f32);
  }
}

}  // namespace
}  // namespace weft
