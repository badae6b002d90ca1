// linear where the job's precision is fp8, and the norms that write its input: on CUDA only.
#include <array>

#include "op_test.h"
#include "reference/dense.h"

namespace weft {
namespace {

using namespace test;

constexpr std::array activations = {Activation::none, Activation::gelu_tanh, Activation::silu};

// e4m3 has 3 bits after the point: each factor is off by 2.6 % (rms), a sum of products by 3.7 %.
constexpr double kernel_fp8 = 5e-2;

class DenseFp8Test : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      ops_ = cuda_ops(Precision::fp8);
    } catch (const Error& e) {
      GTEST_SKIP() << e.what();
    }
    if (ops_ == nullptr) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
  }
  /// A fresh weight that may be reduced.
  [[nodiscard]] Tensor weight(const Tensor& w) const {
    const Tensor moved = on().act(w);
    moved.storage()->reducible = true;
    return moved;
  }
  [[nodiscard]] Backend on() const { return {*ops_}; }
  /// x w^T + b through the guards, as float32 on the host.
  [[nodiscard]] Tensor linear(const Tensor& x, const Tensor& w_on_device, const Tensor& b,
                              Activation act = Activation::none) const {
    Guarded y(random_tensor({x.dim(0), w_on_device.dim(0)}, 9).as(DType::bf16), 0);
    y.to_device(DeviceKind::cuda);
    ops_->linear(on().act(x), w_on_device, on().act(b), y.tensor(), act);
    return as_float(y.result());
  }
  static Tensor random(const Shape& shape, unsigned seed, float scale = 1) {
    return as_float(random_tensor(shape, seed, scale).as(DType::bf16));
  }

 private:
  std::shared_ptr<Ops> ops_;
};

TEST_F(DenseFp8Test, agrees_with_the_loop_as_far_as_e4m3_can) {
  struct Case {
    std::int64_t rows, depth, outputs;
  };
  for (const auto& [rows, depth, outputs] :
       {Case{9, 16, 16}, {33, 1536, 64}, {130, 256, 144}, {17, 8960, 32}, {129, 64, 1536}}) {
    const Tensor x = random({rows, depth}, 1);
    const Tensor w = random({outputs, depth}, 2, 0.1F);
    for (const Tensor& b : {Tensor(), random({outputs}, 3)}) {
      for (const Activation act : activations) {
        SCOPED_TRACE(fmt::format("[{}, {}] x [{}]", rows, depth, outputs));
        const double error =
            relative_error(linear(x, weight(w), b, act), reference::linear(x, w, b, act));
        EXPECT_LT(error, kernel_fp8);
        EXPECT_GT(error, 2 * kernel_bf16) << "not computed in fp8";
      }
    }
  }
}

// Scales that are powers of two change no rounding, so they must drop out exactly enough.
TEST_F(DenseFp8Test, each_row_of_both_operands_has_its_own_scale) {
  constexpr std::int64_t rows = 40, depth = 512, outputs = 48;
  const Tensor x = random({rows, depth}, 1);
  const Tensor w = random({outputs, depth}, 2);
  const auto power = [](std::int64_t i) { return std::exp2f(static_cast<float>(i * 7 % 31 - 15)); };
  const auto scaled = [&](const Tensor& t) {
    const Tensor s = t.clone();
    for (std::int64_t i = 0; i < s.numel(); ++i) s.data<float>()[i] *= power(i / depth);
    return s;
  };
  const Tensor y = linear(scaled(x), weight(scaled(w)), {});
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    y.data<float>()[i] /= power(i / outputs) * power(i % outputs);
  }
  EXPECT_LT(relative_error(y, reference::linear(x, w, {}, Activation::none)), kernel_fp8);
}

/// The nearest e4m3 number, half to even.
float to_e4m3(float x) {
  if (x == 0) return 0;
  const float size = std::abs(x);
  const int exponent = std::max(std::ilogb(size), -6);
  const float step = std::ldexp(1.F, exponent - 3);
  return std::copysign(std::min(std::nearbyint(size / step) * step, 448.F), x);
}

// Weights that pick single elements of x show the quantised x itself.
TEST_F(DenseFp8Test, rows_are_quantised_as_by_the_loop) {
  constexpr std::int64_t rows = 19, zero_row = 4;
  // One pack of a row per thread and up to all eight, full and partly.
  for (const std::int64_t depth : {16, 64, 2048, 2064, 5120, 8192, 13824, 16384}) {
    SCOPED_TRACE(fmt::format("depth {}", depth));
    const std::int64_t outputs = std::min<std::int64_t>(depth, 256);
    const std::int64_t spread = depth / outputs;
    const auto picked = [=](std::int64_t n) {  // all along the row, and its last elements
      return n % 2 == 0 ? n * spread + n % spread : depth - 1 - n / 2;
    };
    const Tensor w = Tensor::zeros({outputs, depth});
    for (std::int64_t n = 0; n < outputs; ++n) w.data<float>()[n * depth + picked(n)] = 1;

    const Tensor x = random({rows, depth}, static_cast<unsigned>(depth));
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      const std::int64_t row = i / depth;
      // From tiny to large; one row with an outlier at its end, so that others become subnormal.
      x.data<float>()[i] *= row == zero_row ? 0 : std::exp2f(static_cast<float>(5 * row - 45));
      if (row == 6 && i % depth == depth - 1) x.data<float>()[i] = 1;
    }
    const Tensor y = linear(x, weight(w), {});
    for (std::int64_t row = 0; row < rows; ++row) {
      const float* values = x.data<float>() + row * depth;
      float most = 0;
      for (std::int64_t k = 0; k < depth; ++k) most = std::max(most, std::abs(values[k]));
      for (std::int64_t n = 0; n < outputs; ++n) {
        const float inverse = row == zero_row ? 0 : 448.F / most;
        const float expected = to_e4m3(values[picked(n)] * inverse) * (most / 448.F);
        ASSERT_NEAR(y.data<float>()[row * outputs + n], expected, std::abs(expected) / 250)
            << "row " << row << ", element " << picked(n);
      }
    }
  }
}

TEST_F(DenseFp8Test, slices_of_one_storage_are_kept_apart) {
  constexpr std::int64_t members = 3, rows = 24, depth = 128, outputs = 32;
  const Tensor x = random({rows, depth}, 1);
  const Tensor w = random({members * outputs, depth}, 2);
  const Tensor b = random({members * outputs}, 3);
  const auto parts = [](const Tensor& whole) {
    const std::int64_t n = whole.dim(0) / members;
    return std::vector<Tensor>{whole.slice(0, n), whole.slice(n, 2 * n), whole.slice(2 * n, 3 * n)};
  };
  const std::vector<Tensor> weights = parts(weight(w));
  const Tensor y = Tensor::empty({members * rows, outputs}, DType::bf16, DeviceKind::cuda);
  on().ops.linear_group(on().act(x), weights, parts(on().act(b)), parts(y));
  const Tensor host = Tensor::empty(y.shape(), DType::bf16);
  copy(y, host);
  const std::vector<Tensor> grouped = parts(as_float(host));
  for (std::size_t i = 0; i < members; ++i) {
    const Tensor bias = parts(b).at(i);
    const auto expected = reference::linear(x, parts(w).at(i), bias, Activation::none);
    EXPECT_LT(relative_error(grouped.at(i), expected), kernel_fp8);
    EXPECT_TRUE(same_bits(grouped.at(i), linear(x, weights.at(i), bias)));
  }
}

TEST_F(DenseFp8Test, only_large_products_of_marked_weights_are_reduced) {
  const auto error = [&](std::int64_t rows, std::int64_t depth, std::int64_t outputs, bool marked) {
    const Tensor x = random({rows, depth}, 1);
    const Tensor w = random({outputs, depth}, 2);
    const Tensor b = random({outputs}, 3);
    const Tensor on_device = marked ? weight(w) : on().act(w);
    return relative_error(linear(x, on_device, b), reference::linear(x, w, b, Activation::none));
  };
  EXPECT_LT(error(40, 64, 32, false), kernel_bf16) << "not marked";
  EXPECT_LT(error(8, 64, 32, true), kernel_bf16) << "few rows";
  EXPECT_LT(error(40, 72, 32, true), kernel_bf16) << "depth 72 is no multiple of 16";
  EXPECT_LT(error(40, 64, 24, true), kernel_bf16) << "24 outputs are no multiple of 16";
}

// ---- rows that a norm writes in e4m3
// -------------------------------------------------------------

constexpr float eps = 1e-6F;
constexpr std::int64_t model_widths[] = {1536, 3072, 5120};

Tensor bf16_rows(std::int64_t rows, std::int64_t width) {
  return Tensor::empty({rows, width}, DType::bf16, DeviceKind::cuda);
}

/// Picks every element, so that the product shows each of them.
Tensor identity(std::int64_t width) {
  const Tensor w = Tensor::zeros({width, width});
  for (std::int64_t i = 0; i < width; ++i) w.data<float>()[i * width + i] = 1;
  return w;
}

struct NormParameters {
  TokenRows weight, bias, gate;
};

/// 0 kinds: one row of weight and bias, and no gate. Each parameter changes at a token of its own.
NormParameters random_parameters(std::int64_t kinds, std::int64_t rows, std::int64_t width) {
  const auto some = [&](unsigned seed, std::int64_t split) {
    const std::int64_t n = std::max<std::int64_t>(kinds, 1);
    return TokenRows{random_tensor({n, width}, seed), n == 1 ? 0 : split};
  };
  return {some(3, rows / 2), some(4, rows / 3), kinds == 0 ? TokenRows{} : some(5, rows / 4)};
}

/// Both ways to h w^T, where `norm` writes h: by way of bfloat16 rows, and of linear_input().
void expect_same_products(const Backend& on, const Tensor& w, std::int64_t rows,
                          const std::function<void(Tensor h)>& norm) {
  const std::int64_t width = w.dim(1);
  const auto product = [&](const Tensor& h) {
    const Tensor y = bf16_rows(rows, w.dim(0));
    norm(h);
    on.ops.linear(h, w, {}, y);
    return y.to(DeviceKind::cpu);
  };
  const Tensor h = on.ops.linear_input(rows, width);
  EXPECT_EQ(h.dtype(), rows > 8 ? DType::f8e4m3 : DType::bf16);
  const Tensor expected = product(bf16_rows(rows, width));
  EXPECT_TRUE(same_bits(product(h), expected));
  EXPECT_TRUE(std::isfinite(as_float(expected).data<float>()[rows * width - 1]));
}

TEST_F(DenseFp8Test, norms_write_e4m3_with_the_bits_of_quantised_bfloat16) {
  const Backend backend = on();
  for (const std::int64_t width : model_widths) {
    const Tensor w = weight(identity(width));
    for (const std::int64_t rows : {1, 7, 9, 300, 2501}) {
      const Tensor x = random({rows, width}, 1), y = random({rows, width}, 2);
      for (std::int64_t i = 0; i < x.numel(); ++i) {
        // Rows of different sizes; outliers at the ends of some.
        x.data<float>()[i] *= std::exp2f(static_cast<float>(i / width % 9 - 4));
        const std::int64_t column = i % width;
        if (i / width % 3 == 1 && (column == 0 || column == width - 1)) x.data<float>()[i] = 1000;
      }
      for (const std::int64_t kinds : {0, 1, 2}) {
        SCOPED_TRACE(fmt::format("[{}, {}], {} kinds of parameters", rows, width, kinds));
        const NormParameters p = random_parameters(kinds, rows, width);
        const TokenRows scale = backend.in(p.weight), shift = backend.in(p.bias);
        const TokenRows gate = backend.in(p.gate);
        expect_same_products(backend, w, rows, [&](const Tensor& h) {
          backend.ops.layer_norm(backend.act(x), scale, shift, eps, h);
        });
        std::vector<Tensor> sums;  // x as the two left it
        expect_same_products(backend, w, rows, [&](const Tensor& h) {
          const Tensor sum = backend.act(x);
          backend.ops.residual_layer_norm(sum, backend.act(y), gate, scale, shift, eps, h);
          sums.push_back(sum.to(DeviceKind::cpu));
        });
        ASSERT_EQ(sums.size(), 2U);
        EXPECT_TRUE(same_bits(sums[0], sums[1]));
      }
    }
  }
}

TEST_F(DenseFp8Test, norms_write_rows_of_zeros) {
  constexpr std::int64_t rows = 40, split = 11;
  const Backend backend = on();
  for (const std::int64_t width : model_widths) {
    NormParameters p = random_parameters(2, rows, width);
    p.weight.split = p.bias.split = split;
    for (const Tensor& t : {p.weight.rows, p.bias.rows}) fill_zero(t.slice(0, 1));
    expect_same_products(backend, weight(identity(width)), rows, [&](const Tensor& h) {
      backend.ops.layer_norm(backend.act(random({rows, width}, 1)), backend.in(p.weight),
                             backend.in(p.bias), eps, h);
    });
  }
}

TEST_F(DenseFp8Test, a_group_reads_e4m3_rows) {
  constexpr std::int64_t rows = 70, width = 1536, outputs = 64;
  const Backend backend = on();
  const Tensor stored = weight(random({3 * outputs, width}, 1));
  const Tensor bias = backend.act(random({3 * outputs}, 2));
  const auto products = [&](const Tensor& h) {
    const Tensor y = bf16_rows(3 * rows, outputs);
    const NormParameters p = random_parameters(1, rows, width);
    backend.ops.layer_norm(backend.act(random({rows, width}, 3)), backend.in(p.weight),
                           backend.in(p.bias), eps, h);
    std::vector<Tensor> w, b, parts;
    for (std::int64_t i = 0; i < 3; ++i) {
      w.push_back(stored.slice(i * outputs, (i + 1) * outputs));
      b.push_back(bias.slice(i * outputs, (i + 1) * outputs));
      parts.push_back(y.slice(i * rows, (i + 1) * rows));
    }
    backend.ops.linear_group(h, w, b, parts);
    return y.to(DeviceKind::cpu);
  };
  EXPECT_TRUE(
      same_bits(products(backend.ops.linear_input(rows, width)), products(bf16_rows(rows, width))));
}

TEST_F(DenseFp8Test, e4m3_rows_only_where_they_can_be_used) {
  const Backend backend = on();
  for (const std::int64_t width : {16, 256, 1535, 4096}) {
    EXPECT_EQ(backend.ops.linear_input(300, width).dtype(), DType::bf16) << width;
  }
  const Tensor h = backend.ops.linear_input(300, 1536);
  ASSERT_EQ(h.dtype(), DType::f8e4m3);
  const Tensor y = bf16_rows(300, 32);
  EXPECT_THROW(backend.ops.linear(h, backend.act(random({32, 1536}, 1)), {}, y), Error)
      << "a weight that is not reducible";
  EXPECT_THROW(
      backend.ops.linear(h.slice(0, 100), weight(random({32, 1536}, 1)), {}, y.slice(0, 100)),
      Error)
      << "a slice, whose scales are elsewhere";
}

}  // namespace
}  // namespace weft
