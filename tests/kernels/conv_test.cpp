#include "reference/conv.h"

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

std::vector<Case> cases() {
  ConvArgs down;  // the encoder's: zero right and bottom, stride 2
  down.stride_h = down.stride_w = 2;
  down.pad_right = down.pad_bottom = 1;
  ConvArgs halve_frames;
  halve_frames.stride_t = 2;
  ConvArgs uneven;
  uneven.pad_top = 2;
  uneven.pad_right = 1;
  return {
      {{1, 1, 1, 1}, {1, 1, 1, 1, 1}, {}},
      {{3, 5, 7, 3}, {6, 3, 3, 3, 3}, same_padding()},
      {{4, 6, 5, 6}, {12, 6, 3, 3, 3}, same_padding()},
      {{4, 9, 11, 16}, {24, 16, 3, 3, 3}, same_padding()},
      {{3, 8, 8, 18}, {3, 18, 3, 3, 3}, same_padding()},
      {{3, 4, 33, 48}, {49, 48, 3, 3, 3}, same_padding()},
      {{2, 13, 17, 24}, {12, 24, 3, 3}, same_padding()},
      {{2, 12, 10, 12}, {12, 12, 3, 3}, down},
      {{3, 4, 4, 12}, {24, 12, 1, 1, 1}, {}},
      {{2, 5, 6, 24}, {72, 24, 1, 1}, {}},
      {{5, 4, 5, 12}, {24, 12, 3, 1, 1}, {}},
      {{7, 4, 5, 12}, {12, 12, 3, 1, 1}, halve_frames},
      {{3, 6, 7, 5}, {7, 5, 2, 3, 2}, uneven},
      {{3, 3, 4, 300}, {10, 300, 3, 3, 3}, same_padding()},  // channels of several chunks
      {{3, 2, 2, 1024}, {50, 1024, 3, 3, 3}, same_padding()},
  };
}

Shape output_shape(const Case& c) {
  const std::int64_t kt = c.w.rank() == 5 ? c.w[2] : 1;
  const ConvArgs& a = c.args;
  return {(c.x[0] - kt) / a.stride_t + 1,
          (c.x[1] + a.pad_top + a.pad_bottom - c.w[-2]) / a.stride_h + 1,
          (c.x[2] + a.pad_left + a.pad_right - c.w[-1]) / a.stride_w + 1, c.w[0]};
}

TEST_P(ConvTest, agrees_with_the_loop) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(fmt::format("x {}, w {}", c.x.str(), c.w.str()));
    const Tensor x = random_tensor(c.x, 1);
    const Tensor w = random_tensor(c.w, 2);
    const Tensor b = random_tensor({c.w[0]}, 3);
    const Tensor y = run(output_shape(c), [&](const Backend& on, Tensor out) {
      on.ops.conv(on.in(x), on.in(w), on.in(b), c.args, out);
    });
    EXPECT_LT(relative_error(y, reference::conv(x, w, b, c.args, y.shape())), kernel_f32);
  }
}

// Chunks of a clip: a frame's bits must not tell how many frames the call had.
TEST_P(ConvTest, a_frame_does_not_see_how_many_there_are) {
  for (const Case& c : cases()) {
    if (c.args.stride_t != 1) continue;
    SCOPED_TRACE(fmt::format("x {}, w {}", c.x.str(), c.w.str()));
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
