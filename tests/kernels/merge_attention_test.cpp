#include "reference/merge_attention.h"

#include "op_test.h"

namespace weft {
namespace {

using namespace test;

class MergeAttentionTest : public OpTest {
 protected:
  struct Sides {
    Tensor out, lse, part, part_lse;
  };

  /// Merges on the backend, once looking at out and once at lse, against the loop.
  void compare(const Sides& s) {
    const Tensor out = run_on(s.out, [&](const Backend& on, Tensor y) {
      on.ops.merge_attention(y, on.in(s.lse), on.act(s.part), on.in(s.part_lse));
    });
    const Tensor lse = run_on(
        s.lse,
        [&](const Backend& on, Tensor y) {
          on.ops.merge_attention(on.act(s.out), y, on.act(s.part), on.in(s.part_lse));
        },
        DType::f32);
    const auto expected = reference::merge_attention(s.out, s.lse, s.part, s.part_lse);
    EXPECT_LT(relative_error(out, expected.out), bound());
    for (std::int64_t i = 0; i < lse.numel(); ++i) {
      const double value = reference::at(lse, i);
      const double right = expected.lse[static_cast<std::size_t>(i)];
      if (std::isinf(right)) {
        EXPECT_EQ(value, right) << i;
      } else {
        EXPECT_NEAR(value, right, 1e-6 * (1 + std::abs(right))) << i;
      }
    }
  }

  Sides random_sides(std::int64_t tokens, std::int64_t heads, std::int64_t width) {
    return {random_act({tokens, heads, width}, 1), random_tensor({heads, tokens}, 2, 3),
            random_act({tokens, heads, width}, 3), random_tensor({heads, tokens}, 4, 3)};
  }
};
WEFT_ON_EVERY_BACKEND(MergeAttentionTest);

// One, odd and many of everything: a row per warp, several rows, rows longer than a warp's packs,
// and a last block that is not full. Tokens and heads swapped in lse would show, and so would the
// weights of two sides.
TEST_P(MergeAttentionTest, agrees_with_the_loop) {
  for (const auto& [tokens, heads, width] : {std::tuple{1, 1, 1},
                                             {3, 2, 6},
                                             {61, 5, 16},
                                             {7, 12, 64},
                                             {333, 3, 128},
                                             {5, 3, 96},
                                             {9, 2, 1024},
                                             {33, 40, 40},
                                             {4, 1, 1030}}) {
    SCOPED_TRACE(fmt::format("{} tokens, {} heads of {}", tokens, heads, width));
    compare(random_sides(tokens, heads, width));
  }
}

TEST_P(MergeAttentionTest, tensors_may_start_anywhere) {
  for (const auto& [inputs, outputs] : {std::pair{1, 0}, {0, 1}, {3, 5}, {8, 8}}) {
    SCOPED_TRACE(fmt::format("inputs at {}, outputs at {}", inputs, outputs));
    start_at(inputs, outputs);
    compare(random_sides(20, 3, 128));
  }
}

// -inf stands for no keys: that side counts for nothing, and two such sides give zeros. Sums far
// apart, or beyond what an exponential can hold, must neither overflow nor become NaN.
TEST_P(MergeAttentionTest, extreme_sums) {
  for (const auto& [own, other] : {std::pair{-INFINITY, 2.F},
                                   {2.F, -INFINITY},
                                   {-INFINITY, -INFINITY},
                                   {500.F, 499.F},
                                   {-500.F, -501.F},
                                   {1000.F, -1000.F},
                                   {-90.F, 90.F}}) {
    SCOPED_TRACE(fmt::format("{} and {}", own, other));
    Sides s = random_sides(6, 2, 32);
    std::fill_n(s.lse.data<float>(), s.lse.numel(), own);
    std::fill_n(s.part_lse.data<float>(), s.part_lse.numel(), other);
    compare(s);
  }
}

// The purpose: attention over all keys is that over two parts of them, merged.
TEST_P(MergeAttentionTest, parts_of_the_keys_make_the_whole) {
  const std::int64_t keys = 97;
  const Tensor q = random_act({30, 3, 64}, 1, 0.5F);
  const Tensor k = random_act({keys, 3, 64}, 2, 0.5F);
  const Tensor v = random_act({keys, 3, 64}, 3);
  const AttentionArgs args{.scale = 0.25F};
  const auto whole = reference::attention(q, k, v, args);
  const double rounded = ops().activation() == DType::bf16 ? 1.5e-2 : kernel_f32;
  for (const std::int64_t cut : {1, 48, 96}) {
    SCOPED_TRACE(cut);
    const Tensor out = run(q.shape(), [&](const Backend& on, Tensor y) {
      const Tensor lse = Tensor::empty({3, 30}, DType::f32, on.ops.device());
      const Tensor part_lse = Tensor::empty({3, 30}, DType::f32, on.ops.device());
      const Tensor part = Tensor::empty(q.shape(), y.dtype(), on.ops.device());
      on.ops.attention(on.act(q), on.act(k.slice(0, cut)), on.act(v.slice(0, cut)),
                       {.scale = args.scale, .lse = lse}, y);
      on.ops.attention(on.act(q), on.act(k.slice(cut, keys)), on.act(v.slice(cut, keys)),
                       {.scale = args.scale, .lse = part_lse}, part);
      on.ops.merge_attention(y, lse, part, part_lse);
    });
    EXPECT_LT(relative_error(out, whole.out), rounded);
  }
}

}  // namespace
}  // namespace weft
