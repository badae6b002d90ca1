// linear where the job's precision is fp8: on CUDA only.
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
    Guarded y(as_type(random_tensor({x.dim(0), w_on_device.dim(0)}, 9), DType::bf16), 0);
    y.to_device(DeviceKind::cuda);
    ops_->linear(on().act(x), w_on_device, on().act(b), y.tensor(), act);
    return as_float(y.result());
  }
  static Tensor random(const Shape& shape, unsigned seed, float scale = 1) {
    return as_float(as_type(random_tensor(shape, seed, scale), DType::bf16));
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

}  // namespace
}  // namespace weft
