#include "reference/norm.h"

#include "op_test.h"
#include "reference/elementwise.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(NormTest);

struct Size {
  std::int64_t rows, width;
};
// Odd and even widths, and those of the models, which CUDA treats apart.
constexpr Size sizes[] = {{4, 1},    {1, 2},     {3, 6},     {5, 18},    {7, 34},   {33, 96},
                          {33, 256}, {70, 1536}, {19, 3072}, {37, 4096}, {9, 5120}, {3, 5121}};
// So many rows that every warp of a GPU takes several.
constexpr Size many_rows[] = {{4507, 1536}, {1301, 4096}, {1301, 5120}};
// Where inputs and outputs start, in elements past an aligned address.
struct Start {
  std::int64_t inputs, outputs;
};
constexpr Start unaligned[] = {{1, 0}, {0, 1}, {3, 7}};
constexpr float eps = 1e-6F;

TokenRows random_rows(std::int64_t kinds, std::int64_t width, unsigned seed, std::int64_t split) {
  return {random_tensor({kinds, width}, seed), kinds == 1 ? 0 : split};
}

/// Activations with a mean that must be taken off first.
Tensor with_mean(const Shape& shape, unsigned seed, DType type) {
  const Tensor x = random_tensor(shape, seed);
  for (float& value : x.span()) value += 3;
  return as_float(x.as(type));
}

Operation layer_norm(const Tensor& x, const TokenRows& weight, const TokenRows& bias) {
  return [=](const Backend& on, Tensor y) {
    on.ops.layer_norm(on.act(x), on.in(weight), on.in(bias), eps, y);
  };
}

// In fp8 precision it may be otherwise: dense_fp8_test.cpp.
TEST_P(NormTest, linear_input_is_an_activation) {
  for (const auto& [rows, width] : sizes) {
    const Tensor h = ops().linear_input(rows, width);
    EXPECT_EQ(h.shape(), Shape({rows, width}));
    EXPECT_EQ(h.dtype(), ops().activation());
    EXPECT_EQ(h.device(), ops().device());
  }
}

// In fp8 precision it may be otherwise: attention_fp8_test.cpp.
TEST_P(NormTest, attention_input_is_an_activation) {
  const Shape tokens{4096, 12, 128};
  const Tensor q = ops().attention_input(tokens);
  EXPECT_EQ(q.shape(), tokens);
  EXPECT_EQ(q.dtype(), ops().activation());
  EXPECT_EQ(q.device(), ops().device());
}

TEST_P(NormTest, layer_norm) {
  for (const auto& [rows, width] : sizes) {
    const Tensor x = with_mean({rows, width}, 1, ops().activation());
    for (const std::int64_t kinds : {1, 2}) {
      SCOPED_TRACE(fmt::format("[{}, {}], {} rows of parameters", rows, width, kinds));
      const TokenRows weight = random_rows(kinds, width, 2, rows / 2);
      const TokenRows bias = random_rows(kinds, width, 3, rows / 2);
      const Tensor y = run({rows, width}, layer_norm(x, weight, bias));
      EXPECT_LT(relative_error(y, reference::layer_norm(x, weight, bias, eps)), bound());
    }
  }
}

TEST_P(NormTest, layer_norm_of_many_rows_whose_parameters_change_at_different_tokens) {
  for (const auto& [rows, width] : many_rows) {
    SCOPED_TRACE(width);
    const Tensor x = with_mean({rows, width}, 1, ops().activation());
    const TokenRows weight = random_rows(2, width, 2, rows / 3);
    const TokenRows bias = random_rows(2, width, 3, rows / 3 + 5);
    const Tensor y = run({rows, width}, layer_norm(x, weight, bias));
    EXPECT_LT(relative_error(y, reference::layer_norm(x, weight, bias, eps)), bound());
  }
}

// A large mean: the variance must come from the differences, not from the squares.
TEST_P(NormTest, layer_norm_of_a_large_mean) {
  for (const std::int64_t width : {96, 1536}) {
    SCOPED_TRACE(width);
    const Tensor x = random_tensor({5, width}, 1);
    for (float& value : x.span()) value += 1000;
    const TokenRows weight = random_rows(1, width, 2, 0), bias = random_rows(1, width, 3, 0);
    const auto operation = [&](const Backend& on, Tensor y) {
      on.ops.layer_norm(on.in(x), on.in(weight), on.in(bias), eps, y);
    };
    // The mean itself is rounded to some 1e-4 of a deviation; squares would lose 3e-2 of it.
    EXPECT_LT(relative_error(run(x.shape(), operation, DType::f32),
                             reference::layer_norm(x, weight, bias, eps)),
              1e-3);
  }
}

// Both in place of x and as another tensor; gate absent, one row or two; every parameter with a
// split of its own.
TEST_P(NormTest, residual_layer_norm) {
  for (const auto& [rows, width] : sizes) {
    const Tensor x = with_mean({rows, width}, 1, ops().activation());
    const Tensor y = random_act({rows, width}, 2);
    for (const std::int64_t kinds : {0, 1, 2}) {
      SCOPED_TRACE(fmt::format("[{}, {}], {} gates", rows, width, kinds));
      const TokenRows weight = random_rows(std::max<std::int64_t>(kinds, 1), width, 3, rows / 2);
      const TokenRows bias = random_rows(std::max<std::int64_t>(kinds, 1), width, 4, rows / 3);
      const TokenRows gate = kinds == 0 ? TokenRows{} : random_rows(kinds, width, 5, rows / 4);
      const auto operation = [&](const Backend& on, const Tensor& sum, const Tensor& h) {
        on.ops.residual_layer_norm(sum, on.act(y), on.in(gate), on.in(weight), on.in(bias), eps, h);
      };
      const Tensor sum = run_on(x, [&](const Backend& on, const Tensor& out) {
        operation(on, out, Tensor::empty(out.shape(), out.dtype(), on.ops.device()));
      });
      EXPECT_LT(relative_error(
                    sum, kinds == 0 ? reference::add(x, y) : reference::gated_residual(x, y, gate)),
                bound());
      const Tensor h = run({rows, width}, [&](const Backend& on, const Tensor& out) {
        operation(on, on.act(x), out);
      });
      EXPECT_LT(relative_error(h, reference::layer_norm(sum, weight, bias, eps)), bound());
      // The norm is that of x as it was rounded: a few last bits may differ from the norm by
      // itself. Of the sum before rounding nearly all would, 2e-3 in bfloat16.
      const Tensor alone = run({rows, width}, layer_norm(sum, weight, bias));
      EXPECT_LT(relative_error(h, reference::values(alone)), 4e-4);
    }
  }
}

TEST_P(NormTest, residual_layer_norm_of_many_rows) {
  for (const auto& [rows, width] : many_rows) {
    SCOPED_TRACE(width);
    const Tensor x = random_act({rows, width}, 1), y = random_act({rows, width}, 2);
    const TokenRows gate = random_rows(2, width, 3, rows / 5);
    const TokenRows weight = random_rows(1, width, 4, 0), bias = random_rows(1, width, 5, 0);
    Tensor sum = Tensor::empty(x.shape());
    const auto expected = reference::gated_residual(x, y, gate);
    std::copy(expected.begin(), expected.end(), sum.data<float>());
    const Tensor h = run({rows, width}, [&](const Backend& on, const Tensor& out) {
      on.ops.residual_layer_norm(on.act(x), on.act(y), on.in(gate), on.in(weight), on.in(bias), eps,
                                 out);
    });
    EXPECT_LT(relative_error(h, reference::layer_norm(sum, weight, bias, eps)), bound());
  }
}

TEST_P(NormTest, gated_residual) {
  for (const auto& [rows, width] : sizes) {
    SCOPED_TRACE(fmt::format("[{}, {}]", rows, width));
    const Tensor x = random_act({rows, width}, 1), y = random_act({rows, width}, 2);
    const TokenRows gate = random_rows(2, width, 3, rows / 2);
    const Tensor sum = run_on(x, [&](const Backend& on, const Tensor& out) {
      on.ops.gated_residual(out, on.act(y), on.in(gate));
    });
    EXPECT_LT(relative_error(sum, reference::gated_residual(x, y, gate)), bound());
  }
}

// The residual stream may be float32 while the branches are bfloat16.
TEST_P(NormTest, float32_residual_stream) {
  for (const auto& [rows, width] : sizes) {
    SCOPED_TRACE(fmt::format("[{}, {}]", rows, width));
    const Tensor x = random_tensor({rows, width}, 1);
    const Tensor y = random_act({rows, width}, 2);
    const TokenRows weight = random_rows(1, width, 3, 0), bias = random_rows(1, width, 4, 0);
    const TokenRows gate = random_rows(2, width, 5, rows / 2);
    const auto norm = [&](const Backend& on, const Tensor& out) {
      on.ops.layer_norm(on.in(x), on.in(weight), on.in(bias), eps, out);
    };
    EXPECT_LT(relative_error(run(x.shape(), norm), reference::layer_norm(x, weight, bias, eps)),
              bound());
    const Tensor gated = run_on(
        x,
        [&](const Backend& on, const Tensor& out) {
          on.ops.gated_residual(out, on.act(y), on.in(gate));
        },
        DType::f32);
    EXPECT_LT(relative_error(gated, reference::gated_residual(x, y, gate)), kernel_f32);
    const Tensor sum = run_on(
        x,
        [&](const Backend& on, const Tensor& out) {
          const Tensor h = Tensor::empty(out.shape(), on.ops.activation(), on.ops.device());
          on.ops.residual_layer_norm(out, on.act(y), on.in(gate), on.in(weight), on.in(bias), eps,
                                     h);
        },
        DType::f32);
    EXPECT_LT(relative_error(sum, reference::gated_residual(x, y, gate)), kernel_f32);
    const Tensor h = run(x.shape(), [&](const Backend& on, const Tensor& out) {
      on.ops.residual_layer_norm(on.in(x), on.act(y), on.in(gate), on.in(weight), on.in(bias), eps,
                                 out);
    });
    EXPECT_LT(relative_error(h, reference::layer_norm(sum, weight, bias, eps)), bound());
    const Tensor w = weight.rows;
    const Tensor rms = run(x.shape(), [&](const Backend& on, const Tensor& out) {
      on.ops.rms_norm(on.in(x), on.in(w), eps, out);
    });
    EXPECT_LT(relative_error(rms, reference::rms_norm(x, w, eps)), bound());
  }
}

// Activations in, float32 out: nothing is rounded.
TEST_P(NormTest, float32_results) {
  for (const auto& [rows, width] : sizes) {
    SCOPED_TRACE(fmt::format("[{}, {}]", rows, width));
    const Tensor x = random_act({rows, width}, 1);
    const TokenRows weight = random_rows(1, width, 3, 0), bias = random_rows(1, width, 4, 0);
    const Tensor w = weight.rows.reshape({width});
    EXPECT_LT(relative_error(run(x.shape(), layer_norm(x, weight, bias), DType::f32),
                             reference::layer_norm(x, weight, bias, eps)),
              kernel_f32);
    const auto rms = [&](const Backend& on, const Tensor& out) {
      on.ops.rms_norm(on.act(x), on.in(w), eps, out);
    };
    EXPECT_LT(relative_error(run(x.shape(), rms, DType::f32), reference::rms_norm(x, w, eps)),
              kernel_f32);
    const auto channels = [&](const Backend& on, const Tensor& out) {
      on.ops.channel_norm(on.act(x), on.in(w), Activation::silu, out);
    };
    EXPECT_LT(relative_error(run(x.shape(), channels, DType::f32),
                             reference::channel_norm(x, w, Activation::silu)),
              kernel_f32);
  }
}

TEST_P(NormTest, rms_norm_also_in_place) {
  std::vector<Size> all(std::begin(sizes), std::end(sizes));
  all.insert(all.end(), std::begin(many_rows), std::end(many_rows));
  for (const auto& [rows, width] : all) {
    SCOPED_TRACE(fmt::format("[{}, {}]", rows, width));
    const Tensor x = random_act({rows, width}, 1);
    const Tensor w = random_tensor({width}, 2);
    const Tensor y = run({rows, width}, [&](const Backend& on, Tensor out) {
      on.ops.rms_norm(on.act(x), on.in(w), eps, out);
    });
    EXPECT_LT(relative_error(y, reference::rms_norm(x, w, eps)), bound());
    const Tensor same =
        run_on(x, [&](const Backend& on, Tensor out) { on.ops.rms_norm(out, on.in(w), eps, out); });
    EXPECT_TRUE(same_bits(same, y));
  }
}

// Head widths that a GPU's lanes share out evenly, and others; the models' is 128.
TEST_P(NormTest, rms_norm_rope_also_in_place) {
  struct Case {
    std::int64_t rows, heads, width;
  };
  constexpr Case cases[] = {{1, 1, 2},    {5, 3, 6},    {7, 2, 34},    {33, 12, 128},  {9, 24, 128},
                            {5, 40, 128}, {9, 24, 64},  {9, 16, 96},   {9, 6, 256},    {3, 192, 8},
                            {3, 384, 4},  {3, 768, 2},  {3, 1, 1536},  {70, 12, 128},  {6, 20, 256},
                            {4, 96, 32},  {2, 40, 130}, {1301, 3, 32}, {4507, 12, 128}};
  for (const auto& [rows, heads, width] : cases) {
    SCOPED_TRACE(fmt::format("[{}, {} x {}]", rows, heads, width));
    const Tensor x = random_act({rows, heads * width}, 1);
    const Tensor w = random_tensor({heads * width}, 2);
    const Tensor cos = random_tensor({rows, width / 2}, 3);
    const Tensor sin = random_tensor({rows, width / 2}, 4);
    const Tensor y = run(x.shape(), [&](const Backend& on, Tensor out) {
      on.ops.rms_norm_rope(on.act(x), on.in(w), eps, on.in(cos), on.in(sin), out);
    });
    EXPECT_LT(relative_error(y, reference::rms_norm_rope(x, w, eps, cos, sin)), bound());
    const Tensor same = run_on(x, [&](const Backend& on, Tensor out) {
      on.ops.rms_norm_rope(out, on.in(w), eps, on.in(cos), on.in(sin), out);
    });
    EXPECT_TRUE(same_bits(same, y));
  }
}

TEST_P(NormTest, channel_norm) {
  for (const std::int64_t channels :
       {1, 3, 16, 18, 24, 96, 128, 160, 192, 256, 320, 384, 512, 640, 1024, 2048, 2056}) {
    SCOPED_TRACE(channels);
    Tensor x = random_act({3, 5, 7, channels}, 1);
    // A position of zeros: the floor of the norm keeps it zero.
    std::fill_n(x.data<float>(), channels, 0.F);
    const Tensor gamma = random_tensor({channels}, 2);
    for (const Activation act : {Activation::none, Activation::silu}) {
      const Tensor y = run(x.shape(), [&](const Backend& on, Tensor out) {
        on.ops.channel_norm(on.act(x), on.in(gamma), act, out);
      });
      EXPECT_LT(relative_error(y, reference::channel_norm(x, gamma, act)), bound());
      EXPECT_EQ(y.data<float>()[0], 0.F);
      const Tensor from_float = run(x.shape(), [&](const Backend& on, Tensor out) {
        on.ops.channel_norm(on.in(x), on.in(gamma), act, out);
      });
      EXPECT_LT(relative_error(from_float, reference::channel_norm(x, gamma, act)), bound());
    }
  }
}

TEST_P(NormTest, channel_norm_of_many_positions) {
  for (const auto& [positions, channels] : {Size{60013, 96}, Size{9001, 640}}) {
    SCOPED_TRACE(channels);
    const Tensor x = random_act({positions, channels}, 1);
    const Tensor gamma = random_tensor({channels}, 2);
    const Tensor y = run(x.shape(), [&](const Backend& on, Tensor out) {
      on.ops.channel_norm(on.act(x), on.in(gamma), Activation::silu, out);
    });
    EXPECT_LT(relative_error(y, reference::channel_norm(x, gamma, Activation::silu)), bound());
  }
}

// Slices may start at any element.
TEST_P(NormTest, unaligned_tensors) {
  for (const auto& [inputs, outputs] : unaligned) {
    for (const std::int64_t width : {96, 1536, 5120}) {
      SCOPED_TRACE(fmt::format("inputs at {}, outputs at {}, width {}", inputs, outputs, width));
      start_at(inputs, outputs);
      const Shape shape{6, width};
      const Tensor x = random_act(shape, 1), y = random_act(shape, 2);
      const TokenRows weight = random_rows(2, width, 3, 2), bias = random_rows(2, width, 4, 4);
      const TokenRows gate = random_rows(2, width, 5, 3);
      const Tensor w = weight.rows.slice(0, 1).reshape({width});
      const Tensor cos = random_tensor({6, 16}, 6), sin = random_tensor({6, 16}, 7);
      EXPECT_LT(relative_error(run(shape, layer_norm(x, weight, bias)),
                               reference::layer_norm(x, weight, bias, eps)),
                bound());
      const Tensor sum = run_on(x, [&](const Backend& on, const Tensor& out) {
        on.ops.gated_residual(out, on.act(y), on.in(gate));
      });
      EXPECT_LT(relative_error(sum, reference::gated_residual(x, y, gate)), bound());
      const auto residual = [&](const Backend& on, const Tensor& out) {
        on.ops.residual_layer_norm(on.act(x), on.act(y), on.in(gate), on.in(weight), on.in(bias),
                                   eps, out);
      };
      EXPECT_LT(relative_error(run(shape, residual), reference::layer_norm(sum, weight, bias, eps)),
                bound());
      const auto rms = [&](const Backend& on, const Tensor& out) {
        on.ops.rms_norm(on.act(x), on.in(w), eps, out);
      };
      EXPECT_LT(relative_error(run(shape, rms), reference::rms_norm(x, w, eps)), bound());
      const auto rope = [&](const Backend& on, const Tensor& out) {
        on.ops.rms_norm_rope(on.act(x), on.in(w), eps, on.in(cos), on.in(sin), out);
      };
      EXPECT_LT(relative_error(run(shape, rope), reference::rms_norm_rope(x, w, eps, cos, sin)),
                bound());
      const auto channels = [&](const Backend& on, const Tensor& out) {
        on.ops.channel_norm(on.act(x), on.in(w), Activation::silu, out);
      };
      EXPECT_LT(
          relative_error(run(shape, channels), reference::channel_norm(x, w, Activation::silu)),
          bound());
    }
  }
}

}  // namespace
}  // namespace weft
