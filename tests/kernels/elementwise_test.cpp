#include "reference/elementwise.h"

#include <limits>

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(ElementwiseTest);

constexpr std::int64_t counts[] = {1, 7, 16, 17, 1024, 1025, 70001};

TEST_P(ElementwiseTest, gated_residual) {
  for (const std::int64_t kinds : {1, 2}) {
    const Tensor x = random_tensor({37, 515}, 1);
    const Tensor y = random_tensor({37, 515}, 2);
    const TokenRows gate{random_tensor({kinds, 515}, 3), kinds == 1 ? 0 : 11};
    const Tensor sum = run_on(x, [&](const Backend& on, Tensor out) {
      on.ops.gated_residual(out, on.in(y), on.in(gate));
    });
    EXPECT_LT(relative_error(sum, reference::gated_residual(x, y, gate)), kernel_f32);
  }
}

TEST_P(ElementwiseTest, add_and_silu_and_gated_gelu) {
  for (const std::int64_t count : counts) {
    SCOPED_TRACE(count);
    const Tensor a = random_tensor({count}, 1, 4);
    const Tensor b = random_tensor({count}, 2);
    const Tensor sum = run_on(a, [&](const Backend& on, Tensor out) { on.ops.add(out, on.in(b)); });
    EXPECT_LT(relative_error(sum, reference::add(a, b)), kernel_f32);
    const Tensor silu =
        run({count}, [&](const Backend& on, Tensor out) { on.ops.silu(on.in(a), out); });
    EXPECT_LT(relative_error(silu, reference::silu(a)), kernel_f32);
    const Tensor gelu = run({count}, [&](const Backend& on, Tensor out) {
      on.ops.gated_gelu(on.in(a), on.in(b), out);
    });
    EXPECT_LT(relative_error(gelu, reference::gated_gelu(a, b)), kernel_f32);
  }
}

// Each value by itself, so that a large one cannot hide a small one.
TEST_P(ElementwiseTest, silu_is_accurate_at_every_magnitude) {
  std::vector<float> inputs;
  for (float x = 1e-6F; x < 80; x *= 1.01F) {
    inputs.push_back(x);
    inputs.push_back(-x);
  }
  const Tensor x = Tensor::from(inputs, {static_cast<std::int64_t>(inputs.size())});
  const Tensor y =
      run(x.shape(), [&](const Backend& on, Tensor out) { on.ops.silu(on.in(x), out); });
  const auto expected = reference::silu(x);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double want = expected[static_cast<std::size_t>(i)];
    EXPECT_NEAR(reference::at(y, i), want, std::abs(want) * 4e-7) << "x = " << reference::at(x, i);
  }
}

TEST_P(ElementwiseTest, silu_of_extremes) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from(std::vector<float>{1000, infinity, -1000, std::nanf(""), 0}, {5});
  const Tensor y = run({5}, [&](const Backend& on, Tensor out) { on.ops.silu(on.in(x), out); });
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
      const Tensor y = run({count}, combine);
      // The order is part of the contract: the same float operations give the same bits.
      for (std::int64_t i = 0; i < count; ++i) {
        volatile float sum = all[0].factor * all[0].x.data<float>()[i];
        for (std::size_t t = 1; t < terms; ++t) {
          volatile const float product = all[t].factor * all[t].x.data<float>()[i];
          sum = sum + product;
        }
        ASSERT_EQ(y.data<float>()[i], sum) << i;
      }
      const Tensor onto_last = run_on(all.back().x, [&](const Backend& on, Tensor out) {
        std::vector<Term> moved;
        for (const Term& term : all) moved.push_back({term.factor, on.in(term.x)});
        moved.back().x = out;
        on.ops.combine(moved, out);
      });
      EXPECT_TRUE(same_bits(onto_last, y));
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
  const Tensor x = Tensor::from(inputs, {static_cast<std::int64_t>(inputs.size())});
  const Tensor y = run(
      x.shape(), [&](const Backend& on, Tensor out) { on.ops.to_u8(on.in(x), out); }, DType::u8);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const float value = x.data<float>()[i];
    const double exact = 255 * (std::clamp(static_cast<double>(value), -1.0, 1.0) / 2 + 0.5);
    const double got = y.data<std::uint8_t>()[i];
    // float32 may fall on the other side of a half only within its own rounding of 255 (x/2 + 1/2).
    EXPECT_LE(std::abs(got - exact), 0.5 + 255 * 1.2e-7) << value;
  }
  // Exact halves: 127.5 at x = 0 goes up to the even 128; 63.75 and 191.25 are no halves.
  EXPECT_EQ(y.data<std::uint8_t>()[3], 128);
  const Tensor nan = Tensor::from(std::vector<float>{std::nanf("")}, {1});
  const Tensor black = run(
      {1}, [&](const Backend& on, Tensor out) { on.ops.to_u8(on.in(nan), out); }, DType::u8);
  EXPECT_EQ(black.data<std::uint8_t>()[0], 0);
}

}  // namespace
}  // namespace weft
