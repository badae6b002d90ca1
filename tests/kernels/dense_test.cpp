#include "reference/dense.h"

#include <array>

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(DenseTest);

constexpr std::array activations = {Activation::none, Activation::gelu_tanh, Activation::silu};

TEST_P(DenseTest, linear_agrees_with_the_loop) {
  // Few rows and more; depths and outputs below, at and past a vector, a tile, an aligned row.
  constexpr std::array<std::int64_t, 5> row_counts = {1, 7, 8, 9, 129};
  constexpr std::array<std::int64_t, 5> sizes = {1, 3, 64, 100, 1536};
  std::size_t turn = 0;
  for (const std::int64_t rows : row_counts) {
    for (const std::int64_t depth : sizes) {
      for (const std::int64_t outputs : sizes) {
        if (depth * outputs > 1536 * 100 && rows != 9) continue;  // slow in the reference
        SCOPED_TRACE(fmt::format("[{}, {}] x [{}]", rows, depth, outputs));
        const Tensor x = random_act({rows, depth}, 1);
        const Tensor w = random_act({outputs, depth}, 2);
        const Tensor b = turn % 4 == 0 ? Tensor() : random_act({outputs}, 3);
        const Activation act = activations.at(turn++ % 3);
        const Tensor y = run({rows, outputs}, [&](const Backend& on, Tensor out) {
          on.ops.linear(on.act(x), on.act(w), on.act(b), out, act);
        });
        EXPECT_LT(relative_error(y, reference::linear(x, w, b, act)), bound());
      }
    }
  }
}

TEST_P(DenseTest, every_activation_with_and_without_bias) {
  struct Case {
    std::int64_t rows, depth, outputs;
  };
  const Case cases[] = {{2, 256, 6}, {65, 257, 97}, {130, 1000, 33}, {72, 96, 80}, {2, 5000, 50}};
  for (const auto& [rows, depth, outputs] : cases) {
    SCOPED_TRACE(fmt::format("[{}, {}] x [{}]", rows, depth, outputs));
    const Tensor x = random_act({rows, depth}, 1);
    const Tensor w = random_act({outputs, depth}, 2, 0.05F);  // sums where activations bend
    for (const Tensor& b : {Tensor(), random_act({outputs}, 3)}) {
      for (const Activation act : activations) {
        const Tensor y = run({rows, outputs}, [&](const Backend& on, Tensor out) {
          on.ops.linear(on.act(x), on.act(w), on.act(b), out, act);
        });
        EXPECT_LT(relative_error(y, reference::linear(x, w, b, act)), bound());
      }
    }
  }
}

TEST_P(DenseTest, tensors_may_begin_anywhere) {
  for (const auto& [inputs, outputs] : {std::pair{1, 0}, {0, 1}, {3, 5}, {4, 2}, {8, 8}}) {
    start_at(inputs, outputs);
    for (const std::int64_t rows : {2, 5, 33}) {
      SCOPED_TRACE(fmt::format("inputs at {}, output at {}, {} rows", inputs, outputs, rows));
      const Tensor x = random_act({rows, 72}, 1);
      const Tensor w = random_act({64, 72}, 2, 0.1F);
      const Tensor b = random_act({64}, 3);
      for (const Activation act : activations) {
        const Tensor y = run({rows, 64}, [&](const Backend& on, Tensor out) {
          on.ops.linear(on.act(x), on.act(w), on.act(b), out, act);
        });
        EXPECT_LT(relative_error(y, reference::linear(x, w, b, act)), bound());
      }
    }
  }
}

TEST_P(DenseTest, few_rows_may_mix_types) {
  for (const std::int64_t rows : {1, 2, 3, 8}) {
    for (const std::int64_t depth : {75, 1544}) {
      const Tensor x = random_act({rows, depth}, 1);
      const Tensor w = random_act({30, depth}, 2, 0.1F);
      const Tensor b = random_act({30}, 3);
      const auto expected = reference::linear(x, w, b, Activation::silu);
      for (int mixture = 0; mixture < 16; ++mixture) {
        SCOPED_TRACE(fmt::format("[{}, {}], mixture {}", rows, depth, mixture));
        const auto wide = [mixture](int bit) { return (mixture >> bit & 1) != 0; };
        const Operation linear = [&](const Backend& on, Tensor out) {
          const auto typed = [&](const Tensor& t, int bit) {
            return wide(bit) ? on.in(t) : on.act(t);
          };
          on.ops.linear(typed(x, 0), typed(w, 1), typed(b, 2), out, Activation::silu);
        };
        const Tensor y = wide(3) ? run({rows, 30}, linear, DType::f32) : run({rows, 30}, linear);
        EXPECT_LT(relative_error(y, expected), wide(3) ? kernel_f32 : bound());
      }
    }
  }
}

TEST_P(DenseTest, many_rows_of_mixed_types_are_computed_too) {
  const Tensor x = random_act({21, 64}, 1);
  const Tensor w = random_act({10, 64}, 2);
  const Tensor b = random_act({10}, 3);
  const Tensor y = run({21, 10}, [&](const Backend& on, Tensor out) {
    on.ops.linear(on.in(x), on.act(w), on.act(b), out, Activation::none);
  });
  EXPECT_LT(relative_error(y, reference::linear(x, w, b, Activation::none)), bound());
}

// Sums of bfloat16 products lose nothing before the result is rounded: a float32 one is not.
TEST_P(DenseTest, the_result_may_be_float32) {
  constexpr double unrounded = 1e-4;  // rounding to bfloat16 alone gives 1e-3
  for (const std::int64_t rows : {4, 40}) {
    for (const std::int64_t outputs : {64, 75}) {
      const Tensor x = random_act({rows, 200}, 1);
      const Tensor w = random_act({outputs, 200}, 2, 0.1F);
      for (const Tensor& b : {Tensor(), random_act({outputs}, 3)}) {
        for (const Activation act : activations) {
          SCOPED_TRACE(fmt::format("{} rows, {} outputs", rows, outputs));
          const Operation linear = [&](const Backend& on, Tensor out) {
            on.ops.linear(on.act(x), on.act(w), on.act(b), out, act);
          };
          const Tensor y = run({rows, outputs}, linear, DType::f32);
          EXPECT_LT(relative_error(y, reference::linear(x, w, b, act)), unrounded);
        }
      }
    }
  }
}

TEST_P(DenseTest, a_row_does_not_see_the_other_rows) {
  if (on_cuda()) GTEST_SKIP() << "on CUDA the number of rows chooses the kernel";
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

TEST_P(DenseTest, two_runs_give_the_same_bits) {
  for (const std::int64_t rows : {3, 200}) {
    const Tensor x = random_act({rows, 1000}, 1);
    const Tensor w = random_act({72, 1000}, 2);
    const Tensor b = random_act({72}, 3);
    const auto once = [&] {
      return run({rows, 72}, [&](const Backend& on, Tensor out) {
        on.ops.linear(on.act(x), on.act(w), on.act(b), out, Activation::gelu_tanh);
      });
    };
    EXPECT_TRUE(same_bits(once(), once())) << rows << " rows";
  }
}

TEST_P(DenseTest, weights_may_be_slices_of_one_storage) {
  for (const std::int64_t rows : {5, 20}) {
    const Tensor x = random_act({rows, 20}, 1);
    const Tensor both = random_act({14, 20}, 2);
    for (const auto& [begin, end] : {std::pair{0, 7}, {7, 14}, {0, 7}}) {
      const Tensor y = run({rows, 7}, [&](const Backend& on, Tensor out) {
        const Tensor w = on.act(both);
        on.ops.linear(on.act(x), w.slice(7 - begin, 14 - begin), Tensor(),
                      out);  // the other half first
        on.ops.linear(on.act(x), w.slice(begin, end), Tensor(), out);
      });
      const Tensor part = both.slice(begin, end);
      EXPECT_LT(relative_error(y, reference::linear(x, part, {}, Activation::none)), bound());
    }
  }
}

// ---- linear_group ------------------------------------------------------------------------

constexpr std::int64_t members = 3;

std::vector<Tensor> parts(const Tensor& whole) {
  const std::int64_t rows = whole.dim(0) / members;
  std::vector<Tensor> all;
  for (std::int64_t i = 0; i < members; ++i) all.push_back(whole.slice(i * rows, (i + 1) * rows));
  return all;
}

// `of_one`: weights and biases are slices of one tensor each, else tensors of their own.
Operation group_of(const Tensor& x, const Tensor& w, const Tensor& b, bool of_one) {
  return [=](const Backend& on, const Tensor& out) {
    const auto split = [&](const Tensor& whole) {
      if (of_one) return parts(on.act(whole));
      std::vector<Tensor> all;
      for (const Tensor& part : parts(whole)) all.push_back(on.act(part));
      return all;
    };
    const std::vector<Tensor> biases = b.defined() ? split(b) : std::vector<Tensor>();
    on.ops.linear_group(on.act(x), split(w), biases, parts(out));
  };
}

reference::Values group_reference(const Tensor& x, const Tensor& w, const Tensor& b) {
  reference::Values all;
  for (std::int64_t i = 0; i < members; ++i) {
    const Tensor bias = b.defined() ? parts(b).at(static_cast<std::size_t>(i)) : Tensor();
    const auto one =
        reference::linear(x, parts(w).at(static_cast<std::size_t>(i)), bias, Activation::none);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

TEST_P(DenseTest, linear_group_agrees_with_the_loop) {
  struct Case {
    std::int64_t rows, depth, outputs;
  };
  // Few rows, aligned, nothing aligned, biases that start unevenly.
  for (const auto& [rows, depth, outputs] :
       {Case{2, 64, 48}, {40, 64, 48}, {150, 256, 128}, {9, 21, 7}, {33, 64, 12}}) {
    const Tensor x = random_act({rows, depth}, 1);
    const Tensor w = random_act({members * outputs, depth}, 2);
    for (const Tensor& b : {Tensor(), random_act({members * outputs}, 3)}) {
      const auto expected = group_reference(x, w, b);
      for (const bool of_one : {true, false}) {
        SCOPED_TRACE(fmt::format("[{}, {}] x [{}], bias {}, of one tensor {}", rows, depth, outputs,
                                 b.defined(), of_one));
        const Operation group = group_of(x, w, b, of_one);
        const Tensor y = run({members * rows, outputs}, group);
        EXPECT_LT(relative_error(y, expected), bound());
        EXPECT_TRUE(same_bits(y, run({members * rows, outputs}, group)));
      }
    }
  }
}

TEST_P(DenseTest, linear_group_takes_outputs_in_any_order) {
  const Tensor x = random_act({20, 64}, 1);
  const Tensor w = random_act({members * 16, 64}, 2);
  const Tensor b = random_act({members * 16}, 3);
  const Tensor y = run({members * 20, 16}, [&](const Backend& on, const Tensor& out) {
    auto weights = parts(on.act(w));
    auto biases = parts(on.act(b));
    auto outputs = parts(out);
    for (auto* list : {&weights, &biases, &outputs}) std::swap(list->at(0), list->at(2));
    on.ops.linear_group(on.act(x), weights, biases, outputs);
  });
  EXPECT_LT(relative_error(y, group_reference(x, w, b)), bound());
}

// ---- large products, whose algorithm CUDA chooses by timing ------------------------------

TEST_P(DenseTest, a_large_product_is_right_in_every_part) {
  if (!on_cuda()) GTEST_SKIP() << "the CPU has one algorithm";
  constexpr std::int64_t rows = 2053, depth = 2560, outputs = 2048;
  const Tensor x = random_act({rows, depth}, 1);
  const Tensor w = random_act({outputs, depth}, 2, 0.02F);
  const Tensor b = random_act({outputs}, 3);
  const auto once = [&] {
    return run({rows, outputs}, [&](const Backend& on, Tensor out) {
      on.ops.linear(on.act(x), on.act(w), on.act(b), out, Activation::gelu_tanh);
    });
  };
  const Tensor y = once();
  for (const std::int64_t row : {0, 127, 1024, 2052}) {
    const auto expected = reference::linear(x.slice(row, row + 1), w, b, Activation::gelu_tanh);
    EXPECT_LT(relative_error(y.slice(row, row + 1), expected), bound()) << "row " << row;
  }
  // The other rows by the kernel for few.
  for (std::int64_t row = 0; row + 8 <= rows; row += 8 * 16) {
    const Tensor few = run({8, outputs}, [&](const Backend& on, Tensor out) {
      on.ops.linear(on.act(x.slice(row, row + 8)), on.act(w), on.act(b), out,
                    Activation::gelu_tanh);
    });
    EXPECT_LT(relative_error(y.slice(row, row + 8), reference::values(few)), bound());
  }
  EXPECT_TRUE(same_bits(y, once()));
}

}  // namespace
}  // namespace weft
