#include "reference/elementwise.h"

#include <limits>
#include <utility>

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(ElementwiseTest);

constexpr std::int64_t counts[] = {1, 7, 16, 17, 1024, 1025, 70001};

// Where inputs and outputs begin, in elements past an aligned address: 16-byte accesses serve the
// first and the last of these; 4 is aligned enough in float32 but not in bfloat16.
struct Start {
  std::int64_t inputs, outputs;
};
constexpr Start starts[] = {{0, 0}, {1, 1}, {0, 3}, {2, 0}, {4, 4}, {8, 16}};

TEST_P(ElementwiseTest, gated_residual) {
  for (const std::int64_t kinds : {1, 2}) {
    const Tensor x = random_act({37, 515}, 1);
    const Tensor y = random_act({37, 515}, 2);
    const TokenRows gate{random_tensor({kinds, 515}, 3), kinds == 1 ? 0 : 11};
    const Tensor sum = run_on(x, [&](const Backend& on, Tensor out) {
      on.ops.gated_residual(out, on.act(y), on.in(gate));
    });
    EXPECT_LT(relative_error(sum, reference::gated_residual(x, y, gate)), bound());
  }
}

TEST_P(ElementwiseTest, add_and_silu_and_gated_gelu) {
  for (const std::int64_t count : counts) {
    for (const auto& [inputs, outputs] : starts) {
      SCOPED_TRACE(fmt::format("{} from {} to {}", count, inputs, outputs));
      start_at(inputs, outputs);
      const Tensor a = random_act({count}, 1, 4);
      const Tensor b = random_act({count}, 2);
      const Tensor sum =
          run_on(a, [&](const Backend& on, Tensor out) { on.ops.add(out, on.act(b)); });
      EXPECT_LT(relative_error(sum, reference::add(a, b)), bound());
      const Tensor silu =
          run({count}, [&](const Backend& on, Tensor out) { on.ops.silu(on.act(a), out); });
      EXPECT_LT(relative_error(silu, reference::silu(a)), bound());
      const Tensor gelu = run({count}, [&](const Backend& on, Tensor out) {
        on.ops.gated_gelu(on.act(a), on.act(b), out);
      });
      EXPECT_LT(relative_error(gelu, reference::gated_gelu(a, b)), bound());
    }
  }
}

// Float32 tensors among bfloat16 ones: on the side of float32 nothing may be rounded.
TEST_P(ElementwiseTest, float32_may_stand_for_an_activation) {
  const Tensor a = random_act({1029}, 1, 4);
  const Tensor b = random_act({1029}, 2);
  const Tensor x = random_tensor({1029}, 3);
  const Tensor sum = run_on(
      x, [&](const Backend& on, Tensor out) { on.ops.add(out, on.act(b)); }, DType::f32);
  EXPECT_LT(relative_error(sum, reference::add(x, b)), kernel_f32);
  const Tensor rounded =
      run_on(b, [&](const Backend& on, Tensor out) { on.ops.add(out, on.in(x)); });
  EXPECT_LT(relative_error(rounded, reference::add(b, x)), bound());
  const Tensor silu = run(
      a.shape(), [&](const Backend& on, Tensor out) { on.ops.silu(on.act(a), out); }, DType::f32);
  EXPECT_LT(relative_error(silu, reference::silu(a)), kernel_f32);
  const Tensor from_float =
      run(x.shape(), [&](const Backend& on, Tensor out) { on.ops.silu(on.in(x), out); });
  EXPECT_LT(relative_error(from_float, reference::silu(x)), bound());
  const Tensor gelu = run(
      a.shape(),
      [&](const Backend& on, Tensor out) { on.ops.gated_gelu(on.act(a), on.act(b), out); },
      DType::f32);
  EXPECT_LT(relative_error(gelu, reference::gated_gelu(a, b)), kernel_f32);
}

TEST_P(ElementwiseTest, works_in_place) {
  const Tensor a = random_act({70001}, 1, 4);
  const Tensor b = random_act({70001}, 2);
  const Tensor silu = run_on(a, [&](const Backend& on, Tensor out) { on.ops.silu(out, out); });
  EXPECT_LT(relative_error(silu, reference::silu(a)), bound());
  const Tensor gelu =
      run_on(b, [&](const Backend& on, Tensor out) { on.ops.gated_gelu(on.act(a), out, out); });
  EXPECT_LT(relative_error(gelu, reference::gated_gelu(a, b)), bound());
}

// Each value by itself, so that a large one cannot hide a small one.
TEST_P(ElementwiseTest, silu_is_accurate_at_every_magnitude) {
  std::vector<float> inputs;
  for (float x = 1e-6F; x < 80; x *= 1.01F) {
    inputs.push_back(x);
    inputs.push_back(-x);
  }
  const Tensor x = as_float(
      Tensor::from(inputs, {static_cast<std::int64_t>(inputs.size())}).as(ops().activation()));
  const Tensor y =
      run(x.shape(), [&](const Backend& on, Tensor out) { on.ops.silu(on.act(x), out); });
  const auto expected = reference::silu(x);
  const double rounding = ops().activation() == DType::bf16 ? 0x1p-8 : 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double want = expected[static_cast<std::size_t>(i)];
    EXPECT_NEAR(reference::at(y, i), want, std::abs(want) * (4e-7 + rounding))
        << "x = " << reference::at(x, i);
  }
}

TEST_P(ElementwiseTest, silu_of_extremes) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from(std::vector<float>{1000, infinity, -1000, std::nanf(""), 0}, {5});
  const Tensor y = run({5}, [&](const Backend& on, Tensor out) { on.ops.silu(on.act(x), out); });
  EXPECT_EQ(y.data<float>()[0], 1000);
  EXPECT_EQ(y.data<float>()[1], infinity);
  EXPECT_NEAR(y.data<float>()[2], 0, 1e-30);
  EXPECT_TRUE(std::isnan(y.data<float>()[3]));
  EXPECT_EQ(y.data<float>()[4], 0);
}

TEST_P(ElementwiseTest, combine_adds_in_the_given_order) {
  for (const std::int64_t count : counts) {
    for (std::size_t terms = 1; terms <= 6; ++terms) {
      SCOPED_TRACE(fmt::format("{} terms of {}", terms, count));
      std::vector<Term> all;
      for (unsigned i = 0; i < terms; ++i) {
        all.push_back({static_cast<float>(i) - 1.7F, random_tensor({count}, i)});
      }
      const auto combine = [&](const Backend& on, Tensor out) {
        std::vector<Term> moved;
        for (const Term& term : all) moved.push_back({term.factor, on.in(term.x)});
        on.ops.combine(moved, out);
      };
      const Tensor y = run({count}, combine, DType::f32);
      // The order is part of the contract: the same float operations give the same bits.
      for (std::int64_t i = 0; i < count; ++i) {
        volatile float sum = all[0].factor * all[0].x.data<float>()[i];
        for (std::size_t t = 1; t < terms; ++t) {
          volatile const float product = all[t].factor * all[t].x.data<float>()[i];
          sum = sum + product;
        }
        ASSERT_EQ(y.data<float>()[i], sum) << i;
      }
      const auto onto_last = [&](const Backend& on, Tensor out) {
        std::vector<Term> moved;
        for (const Term& term : all) moved.push_back({term.factor, on.in(term.x)});
        moved.back().x = out;
        on.ops.combine(moved, out);
      };
      EXPECT_TRUE(same_bits(run_on(all.back().x, onto_last, DType::f32), y));
      start_at(1, 2);
      EXPECT_TRUE(same_bits(run({count}, combine, DType::f32), y));
      start_at(0, 0);
    }
  }
}

TEST_P(ElementwiseTest, to_u8_rounds_half_to_even) {
  std::vector<float> inputs{-2,
                            -1,
                            -0.999F,
                            0,
                            0.5F,
                            0.999F,
                            1,
                            7,
                            -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::infinity()};
  for (int i = 0; i <= 510; ++i) {  // every value and every half between two of them
    const float x = static_cast<float>(i) / 255.F - 1.F;
    inputs.insert(inputs.end(), {std::nextafter(x, -2.F), x, std::nextafter(x, 2.F)});
  }
  const Tensor all = Tensor::from(inputs, {static_cast<std::int64_t>(inputs.size())});
  for (const DType type : {DType::f32, ops().activation()}) {
    const Tensor x = as_float(all.as(type));
    for (const auto& [first_input, first_output] : starts) {
      start_at(first_input, first_output);
      const Tensor y = run(
          x.shape(), [&](const Backend& on, Tensor out) { on.ops.to_u8(on.in(x.as(type)), out); },
          DType::u8);
      for (std::int64_t i = 0; i < x.numel(); ++i) {
        const float value = x.data<float>()[i];
        const double exact = 255 * (std::clamp(static_cast<double>(value), -1.0, 1.0) / 2 + 0.5);
        const double got = y.data<std::uint8_t>()[i];
        // float32 may fall on the other side of a half only within its rounding of 255 (x/2 + 1/2).
        EXPECT_LE(std::abs(got - exact), 0.5 + 255 * 1.2e-7) << value;
      }
      // Exact halves: 127.5 at x = 0 goes up to the even 128; 63.75 and 191.25 are no halves.
      EXPECT_EQ(y.data<std::uint8_t>()[3], 128);
    }
  }
}

TEST_P(ElementwiseTest, to_u8_of_nan_is_black) {
  const Tensor nan = Tensor::from(std::vector<float>(9, std::nanf("")), {9});
  const Tensor black = run(
      {9}, [&](const Backend& on, Tensor out) { on.ops.to_u8(on.act(nan), out); }, DType::u8);
  for (const std::uint8_t value : black.span<std::uint8_t>()) EXPECT_EQ(value, 0);
}

// `x` lies between NaNs, which do not count.
bool all_finite_between_nans(const Backend& on, const Tensor& x) {
  const std::int64_t count = x.numel();
  const Tensor whole = Tensor::from(
      std::vector<float>(static_cast<std::size_t>(count + 16), std::nanf("")), {count + 16});
  weft::copy(x, whole.slice(5, 5 + count));
  return on.ops.all_finite(on.in(whole).slice(5, 5 + count));
}

TEST_P(ElementwiseTest, all_finite_finds_one_bad_element) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const std::int64_t count : {1, 5, 16, 1025, 70001, 300000}) {
    Tensor x = random_tensor({count}, 1);
    x.span().front() = std::numeric_limits<float>::max();
    x.span().back() = -std::numeric_limits<float>::denorm_min();
    const auto expect = [&](bool finite) {
      run_on(
          x,
          [&](const Backend& on, Tensor same) {
            EXPECT_EQ(on.ops.all_finite(same), finite);
            EXPECT_EQ(all_finite_between_nans(on, x), finite);
          },
          DType::f32);
    };
    expect(true);
    for (const std::int64_t at : {std::int64_t{0}, count / 2, count - 1}) {
      for (const float bad : {std::nanf(""), infinity, -infinity}) {
        SCOPED_TRACE(fmt::format("{} at {} of {}", bad, at, count));
        const float good = std::exchange(x.span()[static_cast<std::size_t>(at)], bad);
        expect(false);
        x.span()[static_cast<std::size_t>(at)] = good;
      }
    }
  }
}

}  // namespace
}  // namespace weft
