#include "reference/dense.h"

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(DenseTest);

TEST_P(DenseTest, linear_agrees_with_the_loop) {
  struct Case {
    std::int64_t rows, depth, outputs;
  };
  // One, odd, a tile and a block exactly and one past; a depth of several chunks.
  const Case cases[] = {{1, 1, 1},       {1, 256, 6},  {3, 7, 5},     {8, 48, 48},
                        {9, 49, 49},     {64, 24, 18}, {65, 257, 97}, {129, 300, 481},
                        {130, 1000, 33}, {2, 5000, 50}};
  for (const auto& [rows, depth, outputs] : cases) {
    SCOPED_TRACE(fmt::format("[{}, {}] x [{}]", rows, depth, outputs));
    const Tensor x = random_tensor({rows, depth}, 1);
    const Tensor w = random_tensor({outputs, depth}, 2);
    const Tensor b = random_tensor({outputs}, 3);
    for (const Activation act : {Activation::none, Activation::gelu_tanh, Activation::silu}) {
      const Tensor y = run({rows, outputs}, [&](const Backend& on, Tensor out) {
        on.ops.linear(on.in(x), on.in(w), on.in(b), out, act);
      });
      EXPECT_LT(relative_error(y, reference::linear(x, w, b, act)), kernel_f32);
    }
    const Tensor y = run({rows, outputs}, [&](const Backend& on, Tensor out) {
      on.ops.linear(on.in(x), on.in(w), Tensor(), out);
    });
    EXPECT_LT(relative_error(y, reference::linear(x, w, {}, Activation::none)), kernel_f32);
  }
}

TEST_P(DenseTest, a_row_does_not_see_the_other_rows) {
  const Tensor x = random_tensor({300, 700}, 1);
  const Tensor w = random_tensor({100, 700}, 2);
  const auto rows = [&](std::int64_t begin, std::int64_t end) {
    return run({end - begin, 100}, [&](const Backend& on, Tensor out) {
      on.ops.linear(on.in(x.slice(begin, end)), on.in(w), Tensor(), out, Activation::silu);
    });
  };
  const Tensor all = rows(0, 300);
  for (const auto& [begin, end] : {std::pair{0, 1}, {5, 6}, {3, 140}, {299, 300}}) {
    EXPECT_TRUE(same_bits(rows(begin, end), all.slice(begin, end))) << begin << ".." << end;
  }
}

TEST_P(DenseTest, weights_may_be_slices_of_one_storage) {
  const Tensor x = random_tensor({5, 20}, 1);
  const Tensor both = random_tensor({14, 20}, 2);
  for (const auto& [begin, end] : {std::pair{0, 7}, {7, 14}, {0, 7}}) {
    const Tensor y = run({5, 7}, [&](const Backend& on, Tensor out) {
      const Tensor w = on.in(both);
      on.ops.linear(on.in(x), w.slice(7 - begin, 14 - begin), Tensor(),
                    out);  // the other half first
      on.ops.linear(on.in(x), w.slice(begin, end), Tensor(), out);
    });
    EXPECT_LT(relative_error(y, reference::linear(x, both.slice(begin, end), {}, Activation::none)),
              kernel_f32);
  }
}

}  // namespace
}  // namespace weft
