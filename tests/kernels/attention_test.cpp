#include "reference/attention.h"

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

WEFT_OP_TESTS(AttentionTest);

struct Case {
  std::int64_t queries, keys, heads, width;
};
// One, odd, a block of queries and of keys and one past; widths of the text encoder, the
// transformers, the tiny models and the autoencoder's single head.
constexpr Case cases[] = {{1, 1, 1, 1},       {1, 5, 2, 16},      {3, 1, 1, 8},
                          {7, 48, 3, 32},     {8, 49, 2, 64},     {129, 385, 2, 40},
                          {65, 1000, 1, 128}, {128, 384, 1, 128}, {30, 100, 1, 384},
                          {9, 200, 1, 1024},  {10, 97, 5, 6}};

TEST_P(AttentionTest, agrees_with_the_loop) {
  for (const auto& [queries, keys, heads, width] : cases) {
    SCOPED_TRACE(fmt::format("{} queries, {} keys, {} heads of {}", queries, keys, heads, width));
    const Tensor q = random_tensor({queries, heads, width}, 1);
    const Tensor k = random_tensor({keys, heads, width}, 2);
    const Tensor v = random_tensor({keys, heads, width}, 3);
    AttentionArgs args;
    args.scale = 1 / std::sqrt(static_cast<float>(width));
    for (const bool all_options : {false, true}) {
      if (all_options) {
        args.bias = random_tensor({heads, queries, keys}, 4, 3);
        args.last_key_logit = 4.5F;
        args.lse = random_tensor({heads, queries}, 5);
      }
      const auto expected = reference::attention(q, k, v, args);
      Tensor lse;
      const Tensor out = run(q.shape(), [&](const Backend& on, Tensor y) {
        AttentionArgs moved = args;
        moved.bias = on.in(args.bias);
        moved.lse = on.in(args.lse);
        on.ops.attention(on.in(q), on.in(k), on.in(v), moved, y);
        if (args.lse.defined()) {
          lse = Tensor::empty(args.lse.shape());
          weft::copy(moved.lse, lse);
        }
      });
      EXPECT_LT(relative_error(out, expected.out), kernel_f32);
      if (all_options) {
        EXPECT_LT(relative_error(lse, expected.lse), kernel_f32);
      }
    }
  }
}

TEST_P(AttentionTest, log_sum_exp_stays_inside_its_tensor) {
  const Tensor q = random_tensor({131, 2, 16}, 1);
  const Tensor k = random_tensor({77, 2, 16}, 2);
  AttentionArgs args;
  const auto expected = reference::attention(q, k, k, args);
  const Tensor lse = run({2, 131}, [&](const Backend& on, Tensor y) {
    AttentionArgs with_lse;
    with_lse.lse = y;
    on.ops.attention(on.in(q), on.in(k), on.in(k), with_lse, on.in(q));
  });
  EXPECT_LT(relative_error(lse, expected.lse), kernel_f32);
}

// Logits of +-1000 overflow without the running maximum, and its rise must rescale earlier sums.
TEST_P(AttentionTest, large_logits_in_any_order) {
  const Tensor q = Tensor::from(std::vector<float>{1}, {1, 1, 1});
  const std::int64_t keys = 1000;
  for (const float sign : {1.F, -1.F}) {
    Tensor k = Tensor::empty({keys, 1, 1});
    for (std::int64_t j = 0; j < keys; ++j) {
      k.data<float>()[j] = sign * (2 * static_cast<float>(j) - 1000);
    }
    const Tensor v = random_tensor({keys, 1, 1}, 3);
    const Tensor out = run({1, 1, 1}, [&](const Backend& on, Tensor y) {
      on.ops.attention(on.in(q), on.in(k), on.in(v), {}, y);
    });
    EXPECT_LT(relative_error(out, reference::attention(q, k, v, {}).out), kernel_f32);
  }
}

TEST_P(AttentionTest, masked_keys_count_for_nothing) {
  const std::int64_t queries = 5, keys = 900, real = 7;
  const Tensor q = random_tensor({queries, 1, 16}, 1);
  const Tensor k = random_tensor({keys, 1, 16}, 2);
  const Tensor v = random_tensor({keys, 1, 16}, 3);
  for (const float mask : {-INFINITY, -3.3895e38F}) {
    AttentionArgs args;  // the real keys come last: whole blocks before them are masked
    args.bias = Tensor::zeros({1, queries, keys});
    for (std::int64_t i = 0; i < queries; ++i) {
      std::fill_n(args.bias.data<float>() + i * keys, keys - real, mask);
    }
    const Tensor out = run(q.shape(), [&](const Backend& on, Tensor y) {
      AttentionArgs moved = args;
      moved.bias = on.in(args.bias);
      on.ops.attention(on.in(q), on.in(k), on.in(v), moved, y);
    });
    const auto expected =
        reference::attention(q, k.slice(keys - real, keys), v.slice(keys - real, keys), {});
    EXPECT_LT(relative_error(out, expected.out), kernel_f32) << mask;
  }
}

TEST_P(AttentionTest, a_query_does_not_see_the_other_queries) {
  const Tensor q = random_tensor({200, 2, 32}, 1);
  const Tensor k = random_tensor({450, 2, 32}, 2);
  const Tensor v = random_tensor({450, 2, 32}, 3);
  const auto queries = [&](std::int64_t begin, std::int64_t end) {
    return run({end - begin, 2, 32}, [&](const Backend& on, Tensor y) {
      on.ops.attention(on.in(q.slice(begin, end)), on.in(k), on.in(v), {}, y);
    });
  };
  const Tensor all = queries(0, 200);
  for (const auto& [begin, end] : {std::pair{0, 1}, {3, 10}, {50, 179}, {199, 200}}) {
    EXPECT_TRUE(same_bits(queries(begin, end), all.slice(begin, end))) << begin << ".." << end;
  }
}

TEST_P(AttentionTest, a_nan_is_not_hidden) {
  Tensor k = random_tensor({100, 1, 16}, 2);
  k.data<float>()[40 * 16] = std::nanf("");
  const Tensor v = random_tensor({100, 1, 16}, 3);
  const Tensor q = random_tensor({3, 1, 16}, 1);
  const Tensor out = run(q.shape(), [&](const Backend& on, Tensor y) {
    on.ops.attention(on.in(q), on.in(k), on.in(v), {}, y);
  });
  for (const float value : out.span()) EXPECT_TRUE(std::isnan(value));
}

}  // namespace
}  // namespace weft
