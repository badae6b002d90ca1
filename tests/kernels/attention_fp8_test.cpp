// Self-attention in e4m3 from end to end, as the transformer asks for it: rms_norm_rope() writes
// queries and keys in e4m3, attention() hands e4m3 rows to linear(). On CUDA in fp8 only; e4m3 from
// bfloat16 queries and keys: attention_test.cpp.
#include "op_test.h"
#include "reference/attention.h"
#include "reference/dense.h"
#include "reference/norm.h"

namespace weft {
namespace {

using namespace test;

constexpr float eps = 1e-6F;
constexpr std::int64_t width = 128;  // of a head

/// The number that an e4m3 byte stands for.
float from_e4m3(std::uint8_t byte) {
  const int exponent = byte >> 3 & 15, mantissa = byte & 7;
  if ((byte & 0x7F) == 0x7F) return std::nanf("");
  const float size = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                   : std::ldexp(static_cast<float>(8 + mantissa), exponent - 7 - 3);
  return byte >> 7 ? -size : size;
}

/// Half the distance of e4m3 numbers around x: how far the nearest may lie, up to 448.
double half_step(double x) {
  return std::ldexp(1.0, std::max(x == 0 ? -6 : std::ilogb(x), -6) - 4);
}

/// The nearest e4m3 number to x times `factor`, divided by it again.
double through_e4m3(double x, double factor) {
  const double step = 2 * half_step(x * factor);
  return std::clamp(std::nearbyint(x * factor / step) * step, -448.0, 448.0) / factor;
}

Tensor to_tensor(const reference::Values& x, const Shape& shape) {
  const Tensor t = Tensor::empty(shape);
  std::copy(x.begin(), x.end(), t.data<float>());
  return t;
}

struct Angles {
  Tensor cos, sin;  // [N, width / 2]
  explicit Angles(std::int64_t tokens)
      : cos(Tensor::empty({tokens, width / 2})), sin(Tensor::empty({tokens, width / 2})) {
    for (std::int64_t i = 0; i < cos.numel(); ++i) {
      const float angle = 0.37F * static_cast<float>(i / cos.dim(1) * (i % cos.dim(1)) % 1000);
      cos.data<float>()[i] = std::cos(angle);
      sin.data<float>()[i] = std::sin(angle);
    }
  }
};

/// From a twentieth to twice: the normed values' sizes differ by column.
Tensor norm_weight(std::int64_t columns, unsigned seed) {
  const Tensor w = random_tensor({columns}, seed);
  for (float& x : w.span()) x = std::clamp(std::abs(x), 0.05F, 2.F);
  return w;
}

class AttentionInputTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      ops_ = cuda_ops(Precision::fp8);
    } catch (const Error& e) {
      GTEST_SKIP() << e.what();
    }
    if (ops_ == nullptr) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
  }
  [[nodiscard]] Backend on() const { return {*ops_}; }
  [[nodiscard]] Ops& ops() const { return *ops_; }
  [[nodiscard]] static Tensor bf16(const Shape& shape) {
    return Tensor::empty(shape, DType::bf16, DeviceKind::cuda);
  }
  static Tensor random(const Shape& shape, unsigned seed, float scale = 1) {
    return as_float(random_tensor(shape, seed, scale).as(DType::bf16));
  }
  /// x [N, D], normed and rotated into `to` [N, H, d].
  void norm(const Tensor& x, const Tensor& w, const Angles& a, const Tensor& to) const {
    ops().rms_norm_rope(on().act(x), on().in(w), eps, on().in(a.cos), on().in(a.sin),
                        to.reshape(x.shape()));
  }
  [[nodiscard]] Tensor normed(const Tensor& x, const Tensor& w, const Angles& a) const {
    const Tensor to = ops().attention_input({x.dim(0), x.dim(1) / width, width});
    EXPECT_EQ(to.dtype(), DType::f8e4m3);
    norm(x, w, a, to);
    return to;
  }
  /// All that lies in the storage of an attention_input: N tokens, whole tiles, the scale.
  static std::vector<std::uint8_t> bytes(const Tensor& x) {
    const auto count = static_cast<std::int64_t>(x.storage()->bytes());
    const Tensor whole =
        Tensor::view(x.raw(), {count}, DType::u8, x.device(), x.storage()).to(DeviceKind::cpu);
    return {whole.data<std::uint8_t>(), whole.data<std::uint8_t>() + count};
  }
  static std::int64_t tiles(const Tensor& x) {
    return (x.dim(0) + 127) / 128 * 128 * x.dim(1) * x.dim(2);
  }
  static float scale_of(const Tensor& x) {
    float scale = 0;
    std::memcpy(&scale, bytes(x).data() + tiles(x), sizeof scale);
    return scale;
  }

 private:
  std::shared_ptr<Ops> ops_;
};

// Each value is the nearest that e4m3 has with the scale of the bound sqrt(D) max |w|; and over
// all, it is no further off than with the scale of the largest value there is. A wrong row, column,
// pair or weight, a value that saturates or is rounded twice, a wrong scale: each would show.
TEST_F(AttentionInputTest, norms_write_the_nearest_e4m3_numbers) {
  struct Case {
    std::int64_t tokens, columns;
  };
  for (const auto& [tokens, columns] : {Case{4096, 1536}, {4099, 3072}, {4223, 5120}}) {
    SCOPED_TRACE(fmt::format("[{}, {}]", tokens, columns));
    const Tensor x = random({tokens, columns}, 1);
    const Tensor w = norm_weight(columns, 2);
    const Angles angles(tokens);
    const Tensor stored = normed(x, w, angles);
    const std::vector<std::uint8_t> found = bytes(stored);
    const auto expected =
        reference::rms_norm_rope(x, w, static_cast<double>(eps), angles.cos, angles.sin);

    const double bound = std::sqrt(static_cast<double>(columns)) *
                         static_cast<double>(*std::max_element(w.span().begin(), w.span().end()));
    ASSERT_NEAR(static_cast<double>(scale_of(stored)), bound / 448, 1e-6 * bound);
    double most = 0;
    for (const double value : expected) most = std::max(most, std::abs(value));
    double error = 0, dynamic_error = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double value = expected[i] * 448 / bound, is = static_cast<double>(from_e4m3(found[i]));
      // The float32 value may lie on the other side of a middle.
      ASSERT_LE(std::abs(is - value), half_step(value) + 1e-5 * std::abs(value) + 1e-4) << i;
      error += std::pow(is * bound / 448 - expected[i], 2);
      dynamic_error += std::pow(through_e4m3(expected[i], 448 / most) - expected[i], 2);
    }
    // Where values fall between powers of two decides by half a percent either way.
    EXPECT_LT(std::sqrt(error), 1.02 * std::sqrt(dynamic_error));
    RecordProperty(fmt::format("error_over_dynamic_{}", columns),
                   fmt::format("{:.4f}", std::sqrt(error / dynamic_error)));
    // Tokens up to the whole tile are zeros: they take part in products.
    for (std::int64_t i = stored.numel(); i < tiles(stored); ++i) {
      ASSERT_EQ(found[static_cast<std::size_t>(i)], 0) << i;
    }
  }
}

// One element, or one pair, may hold all of its row: the bound itself is reached, and not passed.
TEST_F(AttentionInputTest, the_largest_that_can_be_still_fits) {
  constexpr std::int64_t tokens = 4096, columns = 5120;
  const Tensor x = Tensor::zeros({tokens, columns});
  for (std::int64_t i = 0; i < tokens; ++i) {
    float* row = x.data<float>() + i * columns;
    row[i] = 3;
    if (i % 2 == 0) row[i + 1] = i % 4 == 0 ? 3.F : -5.F;
  }
  const Tensor w = Tensor::empty({columns});
  std::fill_n(w.data<float>(), columns, 0.7F);
  const Angles angles(tokens);
  const Tensor stored = normed(x, w, angles);
  const std::vector<std::uint8_t> found = bytes(stored);
  const auto expected =
      reference::rms_norm_rope(x, w, static_cast<double>(eps), angles.cos, angles.sin);
  const auto scale = static_cast<double>(scale_of(stored));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double value = expected[i] / scale;
    ASSERT_LT(std::abs(value), 448.01);
    ASSERT_NEAR(static_cast<double>(from_e4m3(found[i])), value, half_step(value) + 0.01) << i;
  }
}

TEST_F(AttentionInputTest, zeros_stay_zeros) {
  constexpr std::int64_t tokens = 4100, columns = 1536;
  const Angles angles(tokens);
  const Tensor x = random({tokens, columns}, 1);
  fill_zero(x.slice(3, 5));
  const Tensor some = normed(x, norm_weight(columns, 2), angles);
  const std::vector<std::uint8_t> rows = bytes(some);
  for (std::size_t i = 3 * columns; i < 5 * columns; ++i) ASSERT_EQ(rows[i] & 0x7F, 0) << i;
  const Tensor none = normed(x, Tensor::zeros({columns}), angles);
  const std::vector<std::uint8_t> all = bytes(none);
  for (std::int64_t i = 0; i < none.numel(); ++i) {
    ASSERT_EQ(all[static_cast<std::size_t>(i)] & 0x7F, 0) << i;
  }
  EXPECT_GT(scale_of(none), 0);
  EXPECT_TRUE(std::isfinite(scale_of(none)));
}

// ---- the whole chain ---------------------------------------------------------------------------

/// Queries, keys and values as they are projected, and what they meet on their way.
struct Layer {
  Tensor x_q, x_k, v;  // [N, D]
  Tensor w_q, w_k;     // [D]
  Tensor out, bias;    // [O, D], [O]
  Angles angles;
  float scale;
  Layer(std::int64_t tokens, std::int64_t columns)
      : x_q(drawn({tokens, columns}, 1, 3)),
        x_k(drawn({tokens, columns}, 2, 0.2F)),
        v(drawn({tokens, columns}, 3, 8)),
        w_q(norm_weight(columns, 4)),
        w_k(norm_weight(columns, 5)),
        out(drawn({64, columns}, 6, 0.1F)),
        bias(drawn({64}, 7, 0.1F)),
        angles(tokens),
        scale(0.5F / std::sqrt(static_cast<float>(width))) {}

 private:
  static Tensor drawn(const Shape& shape, unsigned seed, float size) {
    return as_float(random_tensor(shape, seed, size).as(DType::bf16));
  }
};

class AttentionChainTest : public AttentionInputTest {
 protected:
  /// The projected results [N, O]. `reduced`: by way of attention_input() and linear_input(), else
  /// of bfloat16 (which attention() and linear() make e4m3 of themselves).
  [[nodiscard]] Tensor run(const Layer& l, bool reduced) const {
    const std::int64_t tokens = l.v.dim(0), columns = l.v.dim(1);
    const Shape heads{tokens, columns / width, width};
    const Tensor q = reduced ? ops().attention_input(heads) : bf16(heads);
    const Tensor k = reduced ? ops().attention_input(heads) : bf16(heads);
    const Tensor mixed = reduced ? ops().linear_input(tokens, columns) : bf16({tokens, columns});
    norm(l.x_q, l.w_q, l.angles, q);
    norm(l.x_k, l.w_k, l.angles, k);
    ops().attention(q, k, on().act(l.v).reshape(heads), {.scale = l.scale}, mixed.reshape(heads));
    const Tensor w = on().act(l.out);
    w.storage()->reducible = true;
    const Tensor y = bf16({tokens, l.out.dim(0)});
    ops().linear(mixed, w, on().act(l.bias), y);
    return as_float(y.to(DeviceKind::cpu));
  }
  /// Rows [begin, end) of them in double precision.
  static reference::Values expected(const Layer& l, std::int64_t begin, std::int64_t end) {
    const std::int64_t tokens = l.v.dim(0), columns = l.v.dim(1);
    const Shape heads{tokens, columns / width, width};
    const auto rotated = [&](const Tensor& x, const Tensor& w) {
      return to_tensor(
          reference::rms_norm_rope(x, w, static_cast<double>(eps), l.angles.cos, l.angles.sin),
          heads);
    };
    const auto mixed =
        reference::attention(rotated(l.x_q, l.w_q).slice(begin, end), rotated(l.x_k, l.w_k),
                             l.v.reshape(heads), {.scale = l.scale});
    return reference::linear(to_tensor(mixed.out, {end - begin, columns}), l.out, l.bias,
                             Activation::none);
  }
};

// Rounding to e4m3 leaves 2.6 % (rms): of v, the softmax weights, the results and the projection's
// weight, and sqrt(2) times that of logits whose deviation is below 1: below 6.5 % together. And
// no worse than by way of bfloat16. A scale taken for another's (q's, k's, v's and the results' all
// differ), rows behind N that count, scales of rows that are overwritten: each would show.
TEST_F(AttentionChainTest, agrees_with_double_precision) {
  constexpr std::int64_t columns = 1536;
  for (const std::int64_t tokens : {4096, 4100, 4223}) {
    const Layer layer(tokens, columns);
    const Tensor reduced = run(layer, true), wide = run(layer, false);
    for (const std::int64_t begin : {std::int64_t{0}, tokens / 2, tokens - 8}) {
      SCOPED_TRACE(fmt::format("{} tokens, from {}", tokens, begin));
      const auto exact = expected(layer, begin, begin + 8);
      const double error = relative_error(reduced.slice(begin, begin + 8), exact);
      const double before = relative_error(wide.slice(begin, begin + 8), exact);
      EXPECT_LT(error, 6.5e-2);
      EXPECT_LT(error, 1.15 * before) << "by way of bfloat16: " << before;
      RecordProperty(fmt::format("error_{}_{}", tokens, begin), fmt::format("{:.4f}", error));
      RecordProperty(fmt::format("wide_{}_{}", tokens, begin), fmt::format("{:.4f}", before));
    }
  }
}

// The scale of v is first guessed from every 256th of 4096 tokens: far larger values elsewhere, or
// none but elsewhere, must be found.
TEST_F(AttentionChainTest, values_that_a_sample_does_not_show) {
  constexpr std::int64_t tokens = 4096, columns = 1536;
  Layer outlier(tokens, columns);
  for (float& x : outlier.v.slice(5, 6).span()) x *= 128;
  Layer hidden(tokens, columns);
  for (std::int64_t i = 0; i < tokens; i += 2) fill_zero(hidden.v.slice(i, i + 1));
  for (const Layer* layer : {&outlier, &hidden}) {
    const Tensor found = run(*layer, true);
    EXPECT_LT(relative_error(found.slice(40, 48), expected(*layer, 40, 48)), 6.5e-2);
  }
}

TEST_F(AttentionChainTest, values_of_zero_give_the_bias) {
  Layer layer(4100, 1536);
  fill_zero(layer.v);
  const Tensor found = run(layer, true);
  const auto exact = expected(layer, 4092, 4100);
  EXPECT_LT(relative_error(found.slice(4092, 4100), exact), kernel_bf16);
}

TEST_F(AttentionChainTest, a_nan_is_not_hidden) {
  for (const int which : {0, 1}) {
    Layer layer(4096, 1536);
    const Tensor& bad = which == 0 ? layer.x_k : layer.v;
    bad.data<float>()[77 * 1536 + 5] = std::nanf("");
    const Tensor found = run(layer, true);
    for (const float value : found.span()) ASSERT_TRUE(std::isnan(value)) << which;
  }
}

// ---- where it is not used ----------------------------------------------------------------------

TEST_F(AttentionInputTest, e4m3_only_where_attention_takes_it) {
  for (const Shape& tokens : {Shape{4095, 12, 128}, Shape{4096, 24, 64}, Shape{4096, 3, 128},
                              Shape{4096, 12, 96}, Shape{4096, 16, 96}}) {
    EXPECT_EQ(ops().attention_input(tokens).dtype(), DType::bf16) << tokens.str();
    EXPECT_EQ(ops().attention_input(tokens).shape(), tokens);
  }
  EXPECT_EQ(ops().attention_input({4096, 12, 128}).dtype(), DType::f8e4m3);
}

TEST_F(AttentionInputTest, misuse_is_refused) {
  const Shape heads{4096, 12, 128};
  const Tensor q = normed(random({4096, 1536}, 1), norm_weight(1536, 2), Angles(4096));
  const Tensor v = bf16(heads), out = bf16(heads);
  const Tensor lse = Tensor::empty({12, 4096}, DType::f32, DeviceKind::cuda);
  const auto attend = [&](const Tensor& k, const AttentionArgs& args) {
    ops().attention(q, k, v, args, out);
  };
  EXPECT_THROW(attend(bf16(heads), {}), Error) << "keys of another type";
  EXPECT_THROW(attend(q, {.lse = lse}), Error);
  EXPECT_THROW(attend(q, {.last_key_logit = 1}), Error);
  EXPECT_THROW(ops().rms_norm_rope(on().act(random({128, 1536}, 1)), on().in(norm_weight(1536, 2)),
                                   eps, on().in(Angles(128).cos), on().in(Angles(128).sin),
                                   q.slice(0, 128).reshape({128, 1536})),
               Error)
      << "a slice, whose scale is elsewhere";
}

// Short self-attention, other heads, cross-attention with and without a merged key: the results go
// by way of bfloat16, and the rows are those that linear() would have made; or, where the Hopper
// kernel writes them (heads of 128), they have the scale of the largest value and are as exact.
TEST_F(AttentionInputTest, other_attention_writes_the_rows_that_linear_would_make) {
  struct Case {
    std::int64_t queries, keys, heads, head_width;
    float last_key;
  };
  for (const Case& c : {Case{300, 300, 12, 128, 0},
                        {300, 300, 24, 64, 0},
                        {4200, 70, 12, 128, 5},
                        {4200, 70, 40, 128, 0},
                        {300, 40, 32, 96, 2},
                        {5, 40, 12, 128, 2}}) {
    const std::int64_t columns = c.heads * c.head_width;
    SCOPED_TRACE(fmt::format("{} queries, {} keys, {} heads of {}", c.queries, c.keys, c.heads,
                             c.head_width));
    const Shape of_queries{c.queries, c.heads, c.head_width};
    const Shape of_keys{c.keys, c.heads, c.head_width};
    const Tensor q = on().act(random(of_queries, 1)), k = on().act(random(of_keys, 2));
    const Tensor v = on().act(random(of_keys, 3)), w = on().act(random({64, columns}, 4));
    w.storage()->reducible = true;
    const auto product = [&](const Tensor& mixed) {
      ops().attention(q, k, v, {.scale = 0.1F, .last_key_logit = c.last_key},
                      mixed.reshape(of_queries));
      const Tensor y = bf16({c.queries, 64});
      ops().linear(mixed, w, {}, y);
      return y.to(DeviceKind::cpu);
    };
    const Tensor reduced = product(ops().linear_input(c.queries, columns));
    const Tensor wide = product(bf16({c.queries, columns}));
    if (c.head_width != width || c.queries <= 8) {
      EXPECT_TRUE(same_bits(reduced, wide));
      continue;
    }
    // Both are 2.6 % from what the product of the unrounded results would be.
    EXPECT_LT(relative_error(as_float(reduced), reference::values(as_float(wide))), 5e-2);
  }
}

}  // namespace
}  // namespace weft
