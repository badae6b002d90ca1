#include "reference/attention.h"

#include "op_test.h"
#include "reference/merge_attention.h"

namespace weft {
namespace {

using namespace test;

struct Case {
  std::int64_t queries, keys, heads, width;
};

class AttentionTest : public OpTest {
 protected:
  /// In bfloat16 each softmax weight is rounded as well as each output, both by up to 2^-8. With
  /// few or nearly equal weights the errors have one sign and do not average out: 2 2^-8 = 8e-3,
  /// and more where values of both signs cancel.
  double out_bound() { return ops().activation() == DType::bf16 ? 1.5e-2 : kernel_f32; }
  /// lse is float32 in every precision, and sums are of weights before they are rounded; fused
  /// kernels take the hardware's approximate exponentials and logarithms (2^-22).
  double lse_bound() { return ops().activation() == DType::bf16 ? 1e-4 : kernel_f32; }

  /// Attention on the backend, out and lse, against the loop.
  void compare(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
               bool with_lse = true) {
    Tensor lse;
    const Tensor out = run(q.shape(), [&](const Backend& on, Tensor y) {
      AttentionArgs moved = args;
      moved.bias = on.in(args.bias);
      if (with_lse) moved.lse = on.in(random_tensor({q.dim(1), q.dim(0)}, 9));
      on.ops.attention(on.act(q), on.act(k), on.act(v), moved, y);
      if (with_lse) lse = moved.lse.to(DeviceKind::cpu);
    });
    const auto expected = reference::attention(q, k, v, args);
    EXPECT_LT(relative_error(out, expected.out), out_bound());
    if (with_lse) {
      EXPECT_LT(relative_error(lse, expected.lse), lse_bound());
    }
  }

  void compare_random(const Case& c, bool bias, float last_key_logit, bool with_lse) {
    SCOPED_TRACE(fmt::format("{} queries, {} keys, {} heads of {}, bias {}, last key {}, lse {}",
                             c.queries, c.keys, c.heads, c.width, bias, last_key_logit, with_lse));
    AttentionArgs args;
    args.scale = 1 / std::sqrt(static_cast<float>(c.width));
    args.last_key_logit = last_key_logit;
    if (bias) args.bias = random_tensor({c.heads, c.queries + c.keys - 1}, 4, 3);
    compare(random_act({c.queries, c.heads, c.width}, 1), random_act({c.keys, c.heads, c.width}, 2),
            random_act({c.keys, c.heads, c.width}, 3), args, with_lse);
  }
};
WEFT_ON_EVERY_BACKEND(AttentionTest);

// One, odd, a block of queries and of keys and one past; widths of the text encoder, the
// transformers, the tiny models and the autoencoder's single head.
constexpr Case cases[] = {{1, 1, 1, 1},       {1, 5, 2, 16},       {3, 1, 1, 8},
                          {7, 48, 3, 32},     {8, 49, 2, 64},      {129, 385, 2, 40},
                          {65, 1000, 1, 128}, {128, 384, 1, 128},  {30, 100, 1, 384},
                          {9, 200, 1, 1024},  {10, 97, 5, 6},      {1, 300, 3, 128},
                          {3, 2500, 2, 24},   {1000, 1000, 3, 128}};

TEST_P(AttentionTest, agrees_with_the_loop) {
  for (const Case& c : cases) {
    compare_random(c, false, 0, false);
    compare_random(c, false, 0, true);
    compare_random(c, true, 4.5F, true);
  }
}

// The merged pad key of cross-attention: keys of prompts short and long, with and without lse.
TEST_P(AttentionTest, the_last_key_may_stand_for_many) {
  for (const std::int64_t width : {1, 6, 16, 40, 64, 128, 384, 1024}) {
    for (const std::int64_t keys : {1, 2, 78, 513}) {
      const Case c{33, keys, 3, width};
      compare_random(c, false, 6.07F, true);
      compare_random(c, false, 6.07F, false);
    }
  }
  // It may outweigh all other keys, or count for nothing beside them.
  compare_random({70, 78, 2, 128}, false, 60, true);
  compare_random({70, 78, 2, 128}, false, -60, true);
  compare_random({70, 78, 2, 64}, false, 60, true);
  compare_random({70, 78, 2, 64}, false, -60, true);
}

TEST_P(AttentionTest, tensors_may_start_anywhere) {
  for (const auto& [inputs, outputs] : {std::pair{1, 0}, {0, 1}, {3, 5}, {8, 8}}) {
    SCOPED_TRACE(fmt::format("inputs at {}, output at {}", inputs, outputs));
    start_at(inputs, outputs);
    for (const Case& c : {Case{9, 70, 2, 128}, Case{9, 70, 3, 6}, Case{9, 70, 2, 40}}) {
      compare_random(c, false, 2, true);
      compare_random(c, true, 0, true);
    }
  }
}

// As the blocks of a ring: results over other keys are there, of lse near, far above and far below.
TEST_P(AttentionTest, may_be_added_to_that_over_other_keys) {
  for (const Case& c : cases) {
    SCOPED_TRACE(
        fmt::format("{} queries, {} keys, {} heads of {}", c.queries, c.keys, c.heads, c.width));
    const float scale = 1 / std::sqrt(static_cast<float>(c.width));
    const Tensor q = random_act({c.queries, c.heads, c.width}, 1);
    const Tensor k = random_act({c.keys, c.heads, c.width}, 2), v = random_act(k.shape(), 3);
    const Tensor other = random_act(q.shape(), 4);
    Tensor other_lse = random_tensor({c.heads, c.queries}, 5, 2);
    for (std::int64_t i = 0; i < other_lse.numel(); ++i) {
      other_lse.data<float>()[i] += std::log(static_cast<float>(c.keys));
      if (i % 7 == 3) other_lse.data<float>()[i] = i % 2 == 0 ? 30.F : -INFINITY;
    }
    Tensor lse;
    const Tensor out = run_on(other, [&](const Backend& on, Tensor y) {
      const Tensor moved = on.in(other_lse);
      on.ops.add_attention(on.act(q), on.act(k), on.act(v), scale, y, moved);
      lse = moved.to(DeviceKind::cpu).clone();
    });
    const auto here = reference::attention(q, k, v, {.scale = scale});
    const auto expected = reference::merge_attention(other, other_lse, here.out, here.lse);
    EXPECT_LT(relative_error(out, expected.out), out_bound());
    EXPECT_LT(relative_error(lse, expected.lse), lse_bound());
  }
}

// Keys and values of several ranks, of unequal numbers of tokens, one block after another.
TEST_P(AttentionTest, block_by_block) {
  for (const std::int64_t width : {6, 128}) {
    SCOPED_TRACE(width);
    const std::vector<std::int64_t> ends{5, 138, 171};
    const Tensor q = random_act({70, 3, width}, 1);
    const Tensor k = random_act({ends.back(), 3, width}, 2), v = random_act(k.shape(), 3);
    const float scale = 1 / std::sqrt(static_cast<float>(width));
    const Tensor out = run(q.shape(), [&](const Backend& on, Tensor y) {
      const auto blocks = on.ops.block_attention(on.act(q), scale, 5, y);
      for (std::int64_t begin = 0; const std::int64_t end : ends) {
        const auto block = blocks->pack(on.act(k.slice(begin, end)), on.act(v.slice(begin, end)));
        const auto form = blocks->form(end - begin);
        ASSERT_EQ(std::ssize(block), form.count);
        for (const Tensor& part : block) {
          EXPECT_EQ(part.shape(), form.shape);
          EXPECT_EQ(part.dtype(), form.type);
        }
        blocks->add(block, end - begin);
        begin = end;
      }
    });
    const auto expected = reference::attention(q, k, v, {.scale = scale});
    EXPECT_LT(relative_error(out, expected.out), 2 * out_bound());  // rounded after every block
  }
}

// Rows of larger tensors: with 5 heads of 6 a slice is not even 16-byte aligned.
TEST_P(AttentionTest, tensors_may_be_slices) {
  for (const std::int64_t width : {6, 64, 128}) {
    SCOPED_TRACE(width);
    const Tensor q = random_act({20, 5, width}, 1);
    const Tensor k = random_act({90, 5, width}, 2);
    const Tensor v = random_act({90, 5, width}, 3);
    const Tensor out = run({7, 5, width}, [&](const Backend& on, Tensor y) {
      on.ops.attention(on.act(q).slice(3, 10), on.act(k).slice(1, 78), on.act(v).slice(13, 90),
                       {.last_key_logit = 1}, y);
    });
    const auto expected = reference::attention(q.slice(3, 10), k.slice(1, 78), v.slice(13, 90),
                                               {.last_key_logit = 1});
    EXPECT_LT(relative_error(out, expected.out), out_bound());
  }
}

TEST_P(AttentionTest, log_sum_exp_stays_inside_its_tensor) {
  for (const std::int64_t width : {6, 16, 128}) {
    for (const float last_key_logit : {0.F, 3.F}) {
      SCOPED_TRACE(fmt::format("width {}, last key {}", width, last_key_logit));
      const Tensor q = random_act({131, 2, width}, 1, 0.5F);
      const Tensor k = random_act({77, 2, width}, 2, 0.5F);
      AttentionArgs args;
      args.last_key_logit = last_key_logit;
      const Operation attention = [&](const Backend& on, Tensor y) {
        AttentionArgs with_lse = args;
        with_lse.lse = y;
        on.ops.attention(on.act(q), on.act(k), on.act(k), with_lse, on.act(q));
      };
      const Tensor lse = run({2, 131}, attention, DType::f32);
      EXPECT_LT(relative_error(lse, reference::attention(q, k, k, args).lse), lse_bound());
    }
  }
}

// Logits of +-1000 overflow without the running maximum, and its rise must rescale earlier sums.
TEST_P(AttentionTest, large_logits_in_any_order) {
  const std::int64_t keys = 1000;
  for (const std::int64_t width : {1, 128}) {
    Tensor q = Tensor::zeros({1, 1, width});
    q.data<float>()[0] = 1;
    for (const float sign : {1.F, -1.F}) {
      SCOPED_TRACE(fmt::format("width {}, sign {}", width, sign));
      Tensor k = Tensor::zeros({keys, 1, width});
      for (std::int64_t j = 0; j < keys; ++j) {
        k.data<float>()[j * width] = sign * (2 * static_cast<float>(j) - 1000);
      }
      k = as_float(k.as(ops().activation()));
      compare(q, k, random_act({keys, 1, width}, 3), {}, false);
    }
  }
}

// Relative positions j - i < keys - queries - 2 are masked: the keys that are left come last, whole
// blocks before them are masked, and each query sees one less than the query before it.
TEST_P(AttentionTest, masked_keys_count_for_nothing) {
  const std::int64_t queries = 5, keys = 900, masked = keys - 3;
  const Tensor q = random_act({queries, 1, 16}, 1);
  const Tensor k = random_act({keys, 1, 16}, 2);
  const Tensor v = random_act({keys, 1, 16}, 3);
  for (const float mask : {-INFINITY, -3.3895e38F}) {
    SCOPED_TRACE(mask);
    AttentionArgs args;
    args.bias = Tensor::zeros({1, queries + keys - 1});
    std::fill_n(args.bias.data<float>(), masked, mask);
    const Tensor out = run(q.shape(), [&](const Backend& on, Tensor y) {
      AttentionArgs moved = args;
      moved.bias = on.in(args.bias);
      on.ops.attention(on.act(q), on.act(k), on.act(v), moved, y);
    });
    for (std::int64_t i = 0; i < queries; ++i) {
      const std::int64_t first = masked + i - (queries - 1);
      const auto expected =
          reference::attention(q.slice(i, i + 1), k.slice(first, keys), v.slice(first, keys), {});
      EXPECT_LT(relative_error(out.slice(i, i + 1), expected.out), out_bound()) << i;
    }
  }
}

TEST_P(AttentionTest, a_query_that_sees_nothing_gets_zeros) {
  const Tensor q = random_act({3, 2, 16}, 1);
  const Tensor k = random_act({50, 2, 16}, 2);
  Tensor bias = Tensor::empty({2, 52});
  std::fill_n(bias.data<float>(), bias.numel(), -INFINITY);
  Tensor lse;
  const Tensor out = run(q.shape(), [&](const Backend& on, Tensor y) {
    const AttentionArgs args{.bias = on.in(bias), .lse = on.in(random_tensor({2, 3}, 3))};
    on.ops.attention(on.act(q), on.act(k), on.act(k), args, y);
    lse = args.lse.to(DeviceKind::cpu);
  });
  for (const float value : out.span()) EXPECT_EQ(value, 0);
  for (const float value : lse.span()) EXPECT_EQ(value, -INFINITY);
}

// On CUDA a library may choose another kernel for another number of queries: the same values, not
// the same bits.
TEST_P(AttentionTest, a_query_does_not_see_the_other_queries) {
  for (const std::int64_t width : {6, 32, 128}) {
    SCOPED_TRACE(width);
    const Tensor q = random_act({200, 2, width}, 1, 0.4F);
    const Tensor k = random_act({450, 2, width}, 2, 0.4F);
    const Tensor v = random_act({450, 2, width}, 3);
    const auto queries = [&](std::int64_t begin, std::int64_t end) {
      return run({end - begin, 2, width}, [&](const Backend& on, Tensor y) {
        on.ops.attention(on.act(q.slice(begin, end)), on.act(k), on.act(v), {}, y);
      });
    };
    const Tensor all = queries(0, 200);
    for (const auto& [begin, end] : {std::pair{0, 1}, {3, 10}, {50, 179}, {199, 200}}) {
      const Tensor some = queries(begin, end), same = all.slice(begin, end);
      if (on_cuda()) {
        EXPECT_LT(relative_error(some, reference::values(same)), out_bound());
      } else {
        EXPECT_TRUE(same_bits(some, same)) << begin << ".." << end;
      }
    }
  }
}

// Without a fused kernel scores are held for a block of queries at a time: here for several blocks,
// the last of them smaller.
TEST_P(AttentionTest, queries_may_need_several_blocks) {
  if (!on_cuda()) GTEST_SKIP() << "the CPU's blocks are small: the other tests have many";
  const std::int64_t queries = 3001, keys = 100'003;
  const Tensor q = random_act({queries, 1, 2}, 1);
  const Tensor k = random_act({keys, 1, 2}, 2);
  const Tensor v = random_act({keys, 1, 2}, 3);
  AttentionArgs args;
  args.bias = random_tensor({1, queries + keys - 1}, 4);
  args.last_key_logit = 9;
  Tensor lse;
  const Tensor out = run(q.shape(), [&](const Backend& on, Tensor y) {
    AttentionArgs moved = args;
    moved.bias = on.in(args.bias);
    moved.lse = on.in(random_tensor({1, queries}, 5));
    on.ops.attention(on.act(q), on.act(k), on.act(v), moved, y);
    lse = moved.lse.to(DeviceKind::cpu);
  });
  for (std::int64_t i = 0; i < queries; i += 60) {
    AttentionArgs one = args;
    one.bias = args.bias.reshape({queries + keys - 1, 1})
                   .slice(queries - 1 - i, queries - 1 - i + keys)
                   .reshape({1, keys});
    const auto expected = reference::attention(q.slice(i, i + 1), k, v, one);
    EXPECT_LT(relative_error(out.slice(i, i + 1), expected.out), out_bound()) << i;
    EXPECT_LT(relative_error(lse.reshape({queries, 1}).slice(i, i + 1), expected.lse), lse_bound())
        << i;
  }
}

// Operations take float32 in every precision.
TEST_P(AttentionTest, float32_stays_float32) {
  const Tensor q = random_tensor({40, 2, 128}, 1);
  const Tensor k = random_tensor({70, 2, 128}, 2);
  const Tensor v = random_tensor({70, 2, 128}, 3);
  const AttentionArgs args{.scale = 0.1F, .last_key_logit = 2};
  const Operation attention = [&](const Backend& on, Tensor y) {
    on.ops.attention(on.in(q), on.in(k), on.in(v), args, y);
  };
  const Tensor out = run(q.shape(), attention, DType::f32);
  EXPECT_LT(relative_error(out, reference::attention(q, k, v, args).out), kernel_f32);
}

TEST_P(AttentionTest, a_nan_is_not_hidden) {
  for (const Case& c : {Case{3, 100, 1, 16}, {3, 100, 1, 128}, {3, 1500, 1, 128}, {3, 100, 1, 6}}) {
    for (const float last_key_logit : {0.F, 2.F}) {
      for (const std::int64_t bad : {std::int64_t{40}, c.keys - 1}) {
        SCOPED_TRACE(fmt::format("key {} of {}, width {}, last key {}", bad, c.keys, c.width,
                                 last_key_logit));
        Tensor k = random_act({c.keys, c.heads, c.width}, 2);
        k.data<float>()[bad * c.width] = std::nanf("");
        const Tensor v = random_act(k.shape(), 3);
        const Tensor q = random_act({c.queries, c.heads, c.width}, 1);
        // The output starts as zeros: run() would start it as NaN.
        const Tensor out = run_on(Tensor::zeros(q.shape()), [&](const Backend& on, Tensor y) {
          on.ops.attention(on.act(q), on.act(k), on.act(v), {.last_key_logit = last_key_logit}, y);
        });
        for (const float value : out.span()) ASSERT_TRUE(std::isnan(value));
      }
    }
  }
}

// Long self-attention in e4m3. Rounding to its 4 bits leaves 2.5 % (uniform over a binade): once in
// v, once in the weights, once in the output, and sqrt(2) times 2.5 % of the logits (q and k), here
// of deviation 1/4: together sqrt(3 2.5^2 + 0.9^2) = 4.4 %.
TEST(AttentionFp8Test, agrees_with_the_loop) {
  constexpr double bound = 5e-2;
  const std::shared_ptr<Ops> ops = cuda_ops(Precision::fp8);
  if (ops == nullptr) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
  const std::int64_t heads = 3, width = 128;
  // Whole tiles of 128 tokens, and not. Magnitudes differ, so that no scale may stand for another.
  for (const std::int64_t tokens : {4096, 4100, 4223}) {
    const auto rounded = [&](unsigned seed, float size) {
      return as_float(random_tensor({tokens, heads, width}, seed, size).as(DType::bf16));
    };
    const Tensor q = rounded(1, 0.5F), k = rounded(2, 2), v = rounded(3, 8);
    const AttentionArgs args{.scale = 0.25F / std::sqrt(static_cast<float>(width))};
    const Backend on{*ops};
    const Tensor y = on.act(Tensor::zeros(q.shape()));
    ops->attention(on.act(q), on.act(k), on.act(v), args, y);
    const Tensor out = as_float(y.to(DeviceKind::cpu));
    for (const std::int64_t begin : {std::int64_t{0}, tokens / 2, tokens - 20}) {
      const Tensor some = out.slice(begin, begin + 20);
      const auto expected = reference::attention(q.slice(begin, begin + 20), k, v, args);
      const double error = relative_error(some, expected.out);
      EXPECT_LT(error, bound) << tokens << " tokens, from " << begin;
      RecordProperty(fmt::format("error_{}_{}", tokens, begin), fmt::format("{:.4f}", error));
    }
  }
}

// As ranks hand keys and values on: every block has its own scales, and lies in memory that was
// something else before. Bound as above.
TEST(AttentionFp8Test, block_by_block) {
  const std::shared_ptr<Ops> ops = cuda_ops(Precision::fp8);
  if (ops == nullptr) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
  const std::int64_t heads = 3, width = 128, tokens = 4100;
  const std::vector<std::int64_t> sizes{4096, 4223, 4100};
  const auto rounded = [&](std::int64_t rows, unsigned seed, float size) {
    return as_float(random_tensor({rows, heads, width}, seed, size).as(DType::bf16));
  };
  const Backend on{*ops};
  const AttentionArgs args{.scale = 0.25F / std::sqrt(static_cast<float>(width))};
  const Tensor q = rounded(tokens, 1, 0.5F);
  const Tensor y = on.act(Tensor::zeros(q.shape()));
  const auto blocks = ops->block_attention(on.act(q), args.scale, 4096, y);
  if (blocks->form(4096).count != 1) GTEST_SKIP() << "no kernel for blocks in e4m3 on this GPU";
  const Tensor k = Tensor::empty({12'419, heads, width}), v = Tensor::empty(k.shape());
  std::int64_t begin = 0;
  for (unsigned b = 0; const std::int64_t size : sizes) {
    const Tensor some_k = rounded(size, 2 + 2 * b, 1 + static_cast<float>(b));
    const Tensor some_v = rounded(size, 3 + 2 * b, 8 / (1 + static_cast<float>(b)));
    copy(some_k, k.slice(begin, begin + size));
    copy(some_v, v.slice(begin, begin + size));
    const Tensor packed = blocks->pack(on.act(some_k), on.act(some_v)).front();
    const auto form = blocks->form(size);
    ASSERT_EQ(packed.shape(), form.shape);
    ASSERT_LT(packed.bytes(), 2 * static_cast<std::size_t>(some_k.numel()) * 103 / 100);
    const Tensor arrived = Tensor::empty(form.shape, form.type, DeviceKind::cuda);
    copy(packed, arrived);
    blocks->add(std::array{arrived}, size);
    begin += size;
    ++b;
  }
  const Tensor out = as_float(y.to(DeviceKind::cpu));
  for (const std::int64_t first : {std::int64_t{0}, tokens / 2, tokens - 20}) {
    const auto expected = reference::attention(q.slice(first, first + 20), k, v, args);
    const double error = relative_error(out.slice(first, first + 20), expected.out);
    EXPECT_LT(error, 5e-2) << "from " << first;
    RecordProperty(fmt::format("error_{}", first), fmt::format("{:.4f}", error));
  }
}

// Scales are guessed from a sample of the tokens; a token outside of it that is far larger must not
// be cut off. It decides every result: 1000 / 4096 beside a mean of values of size 1.
TEST(AttentionFp8Test, the_largest_value_fits_wherever_it_is) {
  const std::shared_ptr<Ops> ops = cuda_ops(Precision::fp8);
  if (ops == nullptr) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
  const std::int64_t tokens = 4100, heads = 2, width = 128;
  const Backend on{*ops};
  const Tensor q = Tensor::zeros({tokens, heads, width});
  Tensor v = as_float(random_tensor(q.shape(), 3).as(DType::bf16));
  const std::int64_t large = 77;
  for (float& x : v.slice(large, large + 1).span()) x = std::copysign(1024.F, x);
  const Tensor y = on.act(Tensor::zeros(q.shape()));
  ops->attention(on.act(q), on.act(q), on.act(v), {.scale = 0.1F}, y);
  const Tensor out = as_float(y.to(DeviceKind::cpu)).slice(0, 20);
  const auto expected = reference::attention(q.slice(0, 20), q, v, {.scale = 0.1F});
  EXPECT_LT(relative_error(out, expected.out), 1e-2);  // the large one is exact, 448 as stored
}

TEST(AttentionFp8Test, zeros_and_nan) {
  const std::shared_ptr<Ops> ops = cuda_ops(Precision::fp8);
  if (ops == nullptr) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
  const Backend on{*ops};
  const Tensor zero = Tensor::zeros({4096, 1, 128});
  const Tensor x = as_float(random_tensor(zero.shape(), 1).as(DType::bf16));
  Tensor bad = x.clone();
  bad.data<float>()[128 * 77 + 5] = std::nanf("");
  const auto attend = [&](const Tensor& q, const Tensor& k, const Tensor& v) {
    const Tensor y = on.act(Tensor::zeros(q.shape()));
    ops->attention(on.act(q), on.act(k), on.act(v), {.scale = 0.1F}, y);
    return as_float(y.to(DeviceKind::cpu));
  };
  // Kept in variables: a span of a temporary would outlive it.
  const Tensor no_values = attend(zero, x, zero);
  const Tensor mean = attend(zero, zero, x);
  const Tensor with_nan = attend(x, bad, x);
  for (const float value : no_values.span()) ASSERT_EQ(value, 0);
  for (const float value : mean.slice(0, 1).span()) ASSERT_LT(std::abs(value), 0.2);
  for (const float value : with_nan.span()) ASSERT_TRUE(std::isnan(value));
}

}  // namespace
}  // namespace weft
