#include "reference/conv.h"

#include <cmath>
#include <functional>

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(ConvTest);

struct Case {
  Shape x, w;
  ConvArgs args;
};

ConvArgs same_padding() { return {1, 1, 1, 1, 1, 1, 1}; }

ConvArgs halve_frames() {
  ConvArgs args;
  args.stride_t = 2;
  return args;
}

ConvArgs halve_size() {  // the encoder's: zeros at the right and the bottom, stride 2
  ConvArgs args;
  args.stride_h = args.stride_w = 2;
  args.pad_right = args.pad_bottom = 1;
  return args;
}

ConvArgs uneven_padding() {
  ConvArgs args;
  args.pad_top = 2;
  args.pad_right = 1;
  return args;
}

std::vector<Case> cases() {
  return {
      {{1, 1, 1, 1}, {1, 1, 1, 1, 1}, {}},
      {{3, 5, 7, 3}, {6, 3, 3, 3, 3}, same_padding()},
      {{4, 6, 5, 6}, {12, 6, 3, 3, 3}, same_padding()},
      {{4, 9, 11, 16}, {24, 16, 3, 3, 3}, same_padding()},
      {{3, 8, 8, 18}, {3, 18, 3, 3, 3}, same_padding()},
      {{3, 4, 33, 48}, {49, 48, 3, 3, 3}, same_padding()},
      {{2, 13, 17, 24}, {12, 24, 3, 3}, same_padding()},
      {{2, 12, 10, 12}, {12, 12, 3, 3}, halve_size()},
      {{3, 4, 4, 12}, {24, 12, 1, 1, 1}, {}},
      {{2, 5, 6, 24}, {72, 24, 1, 1}, {}},
      {{5, 4, 5, 12}, {24, 12, 3, 1, 1}, {}},
      {{7, 4, 5, 12}, {12, 12, 3, 1, 1}, halve_frames()},
      {{3, 6, 7, 5}, {7, 5, 2, 3, 2}, uneven_padding()},
      {{3, 3, 4, 300}, {10, 300, 3, 3, 3}, same_padding()},  // channels of several chunks
      {{3, 2, 2, 1024}, {50, 1024, 3, 3, 3}, same_padding()},
  };
}

// Widths as the published autoencoders have them (multiples of 8), each kind of layer: these take
// the fast ways on CUDA.
std::vector<Case> wide_cases() {
  return {
      {{3, 40, 24, 96}, {96, 96, 3, 3, 3}, same_padding()},
      {{4, 11, 13, 32}, {64, 32, 3, 3, 3}, same_padding()},
      {{3, 9, 10, 16}, {384, 16, 3, 3, 3}, same_padding()},
      {{3, 9, 15, 3}, {96, 3, 3, 3, 3}, same_padding()},
      {{3, 9, 15, 12}, {160, 12, 3, 3, 3}, same_padding()},
      {{3, 13, 17, 40}, {24, 40, 3, 3}, same_padding()},
      {{3, 12, 10, 64}, {64, 64, 3, 3}, halve_size()},
      {{2, 13, 11, 16}, {16, 16, 3, 3}, halve_size()},
      {{5, 7, 9, 64}, {128, 64, 3, 1, 1}, {}},
      {{5, 7, 9, 48}, {48, 48, 3, 1, 1}, halve_frames()},
      {{2, 19, 21, 64}, {32, 64, 1, 1, 1}, {}},
      {{3, 6, 7, 24}, {32, 24, 2, 3, 2}, uneven_padding()},
  };
}

// Down to a few channels, as the decoder's last layer: around the size of a block of 16 x 32
// pixels, and around 32 channels and 8 outputs.
std::vector<Case> narrow_cases() {
  return {
      {{6, 33, 65, 96}, {3, 96, 3, 3, 3}, same_padding()},
      {{3, 16, 32, 64}, {12, 64, 3, 3, 3}, same_padding()},
      {{4, 17, 33, 40}, {12, 40, 3, 3, 3}, same_padding()},
      {{3, 15, 31, 8}, {8, 8, 3, 3, 3}, same_padding()},
      {{3, 1, 1, 32}, {9, 32, 3, 3, 3}, same_padding()},
      {{2, 19, 40, 72}, {16, 72, 3, 3}, same_padding()},
      {{2, 20, 37, 16}, {4, 16, 1, 3, 3}, uneven_padding()},
      {{3, 18, 34, 32}, {3, 32, 2, 3, 3}, {}},
  };
}

std::vector<Case> all_cases() {
  std::vector<Case> all = cases();
  for (const auto& more : {wide_cases(), narrow_cases()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

Shape output_shape(const Case& c) {
  const std::int64_t kt = c.w.rank() == 5 ? c.w[2] : 1;
  const ConvArgs& a = c.args;
  return {(c.x[0] - kt) / a.stride_t + 1,
          (c.x[1] + a.pad_top + a.pad_bottom - c.w[-2]) / a.stride_h + 1,
          (c.x[2] + a.pad_left + a.pad_right - c.w[-1]) / a.stride_w + 1, c.w[0]};
}

std::string text(const Case& c) { return fmt::format("x {}, w {}", c.x.str(), c.w.str()); }

TEST_P(ConvTest, agrees_with_the_loop) {
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(text(c));
    const Tensor x = random_act(c.x, 1);
    const Tensor w = random_act(c.w, 2);
    const Tensor b = random_act({c.w[0]}, 3);
    const Tensor y = run(output_shape(c), [&](const Backend& on, Tensor out) {
      on.ops.conv(on.act(x), on.act(w), on.act(b), c.args, out);
    });
    EXPECT_LT(relative_error(y, reference::conv(x, w, b, c.args, y.shape())), bound());
  }
}

TEST_P(ConvTest, adds_the_residual) {
  std::vector<Case> some = wide_cases();
  for (const Case& more : {cases()[2], cases()[3], cases()[8], narrow_cases()[2]}) {
    some.push_back(more);
  }
  for (Case c : some) {
    SCOPED_TRACE(text(c));
    const Tensor x = random_act(c.x, 1);
    const Tensor w = random_act(c.w, 2);
    const Tensor b = random_act({c.w[0]}, 3);
    // As large as the convolution's result, so that neither hides an error in the other.
    const auto inputs = static_cast<float>(w.numel() / w.dim(0));
    c.args.residual = random_act(output_shape(c), 4, std::sqrt(inputs));
    const Tensor y = run(output_shape(c), [&](const Backend& on, Tensor out) {
      ConvArgs args = c.args;
      args.residual = on.act(c.args.residual);
      on.ops.conv(on.act(x), on.act(w), on.act(b), args, out);
    });
    EXPECT_LT(relative_error(y, reference::conv(x, w, b, c.args, y.shape())), bound());
  }
}

// Pixels and latents are float32 whatever the activations are, and so may a bias be. Such an output
// is not rounded to bfloat16, but tensor cores drop bits below the last of a growing sum.
TEST_P(ConvTest, writes_float32) {
  const double limit = ops().activation() == DType::bf16 ? 1e-4 : kernel_f32;
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(text(c));
    const Tensor x = random_act(c.x, 1);
    const Tensor w = random_act(c.w, 2);
    const Tensor rounded = random_act({c.w[0]}, 3);
    const Tensor exact = random_tensor({c.w[0]}, 3);
    const auto convolve = [&](const std::function<Tensor(const Backend&)>& bias) {
      return run(
          output_shape(c),
          [&](const Backend& on, Tensor out) {
            on.ops.conv(on.act(x), on.act(w), bias(on), c.args, out);
          },
          DType::f32);
    };
    const Tensor y = convolve([&](const Backend& on) { return on.act(rounded); });
    EXPECT_LT(relative_error(y, reference::conv(x, w, rounded, c.args, y.shape())), limit);
    const Tensor z = convolve([&](const Backend& on) { return on.in(exact); });
    EXPECT_LT(relative_error(z, reference::conv(x, w, exact, c.args, z.shape())), limit);
  }
}

// The encoder's first layer reads pixels.
TEST_P(ConvTest, reads_float32) {
  for (const Case& c : {cases()[1], cases()[3], wide_cases()[3], wide_cases()[4]}) {
    SCOPED_TRACE(text(c));
    const Tensor x = random_act(c.x, 1);
    const Tensor w = random_act(c.w, 2);
    const Tensor b = random_act({c.w[0]}, 3);
    const Tensor y = run(output_shape(c), [&](const Backend& on, Tensor out) {
      on.ops.conv(on.in(x), on.act(w), on.act(b), c.args, out);
    });
    EXPECT_LT(relative_error(y, reference::conv(x, w, b, c.args, y.shape())), bound());
  }
}

// Frames of a longer tensor start where they start.
TEST_P(ConvTest, needs_no_alignment) {
  const std::vector<Case> all = all_cases();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Case& c = all[i];
    SCOPED_TRACE(text(c));
    start_at(static_cast<std::int64_t>(1 + i % 5), static_cast<std::int64_t>(1 + i % 3));
    const Tensor x = random_act(c.x, 1);
    const Tensor w = random_act(c.w, 2);
    const Tensor b = random_act({c.w[0]}, 3);
    const Tensor y = run(output_shape(c), [&](const Backend& on, Tensor out) {
      on.ops.conv(on.act(x), on.act(w), on.act(b), c.args, out);
    });
    EXPECT_LT(relative_error(y, reference::conv(x, w, b, c.args, y.shape())), bound());
  }
}

// Weights are reordered once and kept; a second call, and one with another input, must agree with
// the first.
TEST_P(ConvTest, weights_serve_many_calls) {
  for (const Case& c : {cases()[1], wide_cases()[1], narrow_cases()[0]}) {
    SCOPED_TRACE(text(c));
    const Tensor w = random_act(c.w, 2);
    const Tensor b = random_act({c.w[0]}, 3);
    const Shape larger = c.x.with(1, c.x[1] + 3);
    const Tensor x = random_act(larger, 1);
    const Shape shape = output_shape({larger, c.w, c.args});
    const Tensor y = run(shape, [&](const Backend& on, Tensor out) {
      const Tensor weights = on.act(w);
      const Tensor bias = on.act(b);
      Tensor scratch = Tensor::empty(output_shape(c), out.dtype(), out.device());
      on.ops.conv(on.act(random_act(c.x, 5)), weights, bias, c.args, scratch);
      on.ops.conv(on.act(x), weights, bias, c.args, out);
      on.ops.conv(on.act(x), weights, bias, c.args, out);
    });
    EXPECT_LT(relative_error(y, reference::conv(x, w, b, c.args, shape)), bound());
  }
}

// Chunks of a clip: a frame's bits must not tell how many frames the call had. (On CUDA libraries
// choose their kernels by the size of a call.)
TEST_P(ConvTest, a_frame_does_not_see_how_many_there_are) {
  if (on_cuda()) GTEST_SKIP() << "promised on the CPU only";
  for (const Case& c : cases()) {
    if (c.args.stride_t != 1) continue;
    SCOPED_TRACE(text(c));
    const std::int64_t history = (c.w.rank() == 5 ? c.w[2] : 1) - 1;
    const Tensor x = random_tensor(c.x.with(0, 8 + history), 1);
    const Tensor w = random_tensor(c.w, 2);
    const Tensor b = random_tensor({c.w[0]}, 3);
    const auto frames = [&](std::int64_t begin, std::int64_t end) {
      return run(output_shape({c.x.with(0, end - begin + history), c.w, c.args}),
                 [&](const Backend& on, Tensor out) {
                   on.ops.conv(on.in(x.slice(begin, end + history)), on.in(w), on.in(b), c.args,
                               out);
                 });
    };
    const Tensor all = frames(0, 8);
    for (const std::int64_t chunk : {1, 2, 4}) {
      for (std::int64_t begin = 0; begin < 8; begin += chunk) {
        EXPECT_TRUE(same_bits(frames(begin, begin + chunk), all.slice(begin, begin + chunk)))
            << begin << ".." << begin + chunk;
      }
    }
  }
}

// Bands of rows with a halo on each side: the same, for a split by rows.
TEST_P(ConvTest, a_row_does_not_see_how_many_there_are) {
  if (on_cuda()) GTEST_SKIP() << "promised on the CPU only";
  const Tensor x = random_tensor({3, 20, 9, 18}, 1);
  const Tensor w = random_tensor({30, 18, 3, 3, 3}, 2);
  const Tensor b = random_tensor({30}, 3);
  const Tensor all = run({1, 20, 9, 30}, [&](const Backend& on, Tensor out) {
    on.ops.conv(on.in(x), on.in(w), on.in(b), same_padding(), out);
  });
  Tensor band = Tensor::empty({3, 7, 9, 18});  // rows 4..10, of which 5..9 are computed
  for (std::int64_t t = 0; t < 3; ++t) {
    weft::copy(x.slice(t, t + 1).reshape({20, 9, 18}).slice(4, 11),
               band.slice(t, t + 1).reshape({7, 9, 18}));
  }
  ConvArgs args = same_padding();
  args.pad_top = args.pad_bottom = 0;
  const Tensor part = run({1, 5, 9, 30}, [&](const Backend& on, Tensor out) {
    on.ops.conv(on.in(band), on.in(w), on.in(b), args, out);
  });
  EXPECT_TRUE(same_bits(part, all.reshape({20, 9, 30}).slice(5, 10)));
}

}  // namespace
}  // namespace weft
