#include "reference/norm.h"

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(NormTest);

struct Size {
  std::int64_t rows, width;
};
constexpr Size sizes[] = {{1, 2}, {3, 6}, {5, 18}, {7, 34}, {33, 256}, {70, 1536}, {2, 5120}};
constexpr float eps = 1e-6F;

TEST_P(NormTest, layer_norm_modulate) {
  for (const auto& [rows, width] : sizes) {
    SCOPED_TRACE(fmt::format("[{}, {}]", rows, width));
    Tensor x = random_tensor({rows, width}, 1);
    for (float& value : x.span()) value += 3;  // a mean that must be taken off first
    for (const std::int64_t kinds : {1, 2}) {
      const TokenRows scale{random_tensor({kinds, width}, 2), kinds == 1 ? 0 : rows / 2};
      const TokenRows shift{random_tensor({kinds, width}, 3), kinds == 1 ? 0 : rows / 2};
      const Tensor y = run({rows, width}, [&](const Backend& on, Tensor out) {
        on.ops.layer_norm_modulate(on.in(x), on.in(scale), on.in(shift), eps, out);
      });
      EXPECT_LT(relative_error(y, reference::layer_norm_modulate(x, scale, shift, eps)),
                kernel_f32);
    }
  }
}

TEST_P(NormTest, layer_norm) {
  for (const auto& [rows, width] : sizes) {
    SCOPED_TRACE(fmt::format("[{}, {}]", rows, width));
    const Tensor x = random_tensor({rows, width}, 1);
    const Tensor w = random_tensor({width}, 2);
    const Tensor b = random_tensor({width}, 3);
    const Tensor y = run({rows, width}, [&](const Backend& on, Tensor out) {
      on.ops.layer_norm(on.in(x), on.in(w), on.in(b), eps, out);
    });
    EXPECT_LT(relative_error(y, reference::layer_norm(x, w, b, eps)), kernel_f32);
  }
}

TEST_P(NormTest, rms_norm_also_in_place) {
  for (const auto& [rows, width] : sizes) {
    SCOPED_TRACE(fmt::format("[{}, {}]", rows, width));
    const Tensor x = random_tensor({rows, width}, 1);
    const Tensor w = random_tensor({width}, 2);
    const Tensor y = run({rows, width}, [&](const Backend& on, Tensor out) {
      on.ops.rms_norm(on.in(x), on.in(w), eps, out);
    });
    EXPECT_LT(relative_error(y, reference::rms_norm(x, w, eps)), kernel_f32);
    const Tensor same =
        run_on(x, [&](const Backend& on, Tensor out) { on.ops.rms_norm(out, on.in(w), eps, out); });
    EXPECT_TRUE(same_bits(same, y));
  }
}

TEST_P(NormTest, rms_norm_rope_also_in_place) {
  struct Case {
    std::int64_t rows, heads, width;
  };
  for (const auto& [rows, heads, width] : {Case{1, 1, 2}, {5, 3, 6}, {33, 12, 128}, {7, 2, 34}}) {
    SCOPED_TRACE(fmt::format("[{}, {} x {}]", rows, heads, width));
    const Tensor x = random_tensor({rows, heads * width}, 1);
    const Tensor w = random_tensor({heads * width}, 2);
    const Tensor cos = random_tensor({rows, width / 2}, 3);
    const Tensor sin = random_tensor({rows, width / 2}, 4);
    const Tensor y = run(x.shape(), [&](const Backend& on, Tensor out) {
      on.ops.rms_norm_rope(on.in(x), on.in(w), eps, on.in(cos), on.in(sin), out);
    });
    EXPECT_LT(relative_error(y, reference::rms_norm_rope(x, w, eps, cos, sin)), kernel_f32);
    const Tensor same = run_on(x, [&](const Backend& on, Tensor out) {
      on.ops.rms_norm_rope(out, on.in(w), eps, on.in(cos), on.in(sin), out);
    });
    EXPECT_TRUE(same_bits(same, y));
  }
}

TEST_P(NormTest, channel_norm) {
  for (const std::int64_t channels : {1, 3, 16, 18, 96, 160, 384}) {
    SCOPED_TRACE(channels);
    Tensor x = random_tensor({3, 5, 7, channels}, 1);
    // A position of zeros: the floor of the norm keeps it zero.
    std::fill_n(x.data<float>(), channels, 0.F);
    const Tensor gamma = random_tensor({channels}, 2);
    for (const Activation act : {Activation::none, Activation::silu}) {
      const Tensor y = run(x.shape(), [&](const Backend& on, Tensor out) {
        on.ops.channel_norm(on.in(x), on.in(gamma), act, out);
      });
      EXPECT_LT(relative_error(y, reference::channel_norm(x, gamma, act)), kernel_f32);
      EXPECT_EQ(y.data<float>()[0], 0.F);
    }
  }
}

}  // namespace
}  // namespace weft
