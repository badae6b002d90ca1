#pragma once
// One test body for every implementation of Ops. An operation runs on guarded outputs; on the CPU
// it runs with 1, 2, 3 and 4 threads, whose bits must agree.

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "weft/device/device_api.h"
#include "weft/ops/ops.h"

#include "reference/values.h"
#include "support/tolerance.h"

namespace weft::test {

/// Normal values from a fixed seed, so that a failure repeats.
inline Tensor random_tensor(const Shape& shape, unsigned seed, float scale = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, scale);
  Tensor x = Tensor::empty(shape);
  for (float& value : x.span()) value = normal(engine);
  return x;
}

inline std::vector<float> random_values(std::int64_t count, unsigned seed) {
  const Tensor x = random_tensor({count}, seed);
  return {x.span().begin(), x.span().end()};
}

/// |a - b| / |b| over all elements (Frobenius); infinite when a is not finite somewhere.
inline double relative_error(const Tensor& a, const reference::Values& b) {
  EXPECT_EQ(a.numel(), static_cast<std::int64_t>(b.size()));
  double difference = 0;
  double norm = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double expected = b[static_cast<std::size_t>(i)];
    if (!std::isfinite(reference::at(a, i))) return INFINITY;
    difference += std::pow(reference::at(a, i) - expected, 2);
    norm += expected * expected;
  }
  return std::sqrt(norm == 0 ? difference : difference / norm);
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

/// A tensor in the middle of a larger one whose other elements tell of writes outside.
class Guarded {
 public:
  explicit Guarded(const Tensor& content) : shape_(content.shape()) {
    const std::int64_t count = content.numel();
    whole_ = Tensor::empty({count + 2 * margin}, content.dtype());
    std::memset(whole_.raw(), sentinel, whole_.bytes());
    weft::copy(content, whole_.slice(margin, margin + count));
  }
  void to_device(DeviceKind device) {
    if (device == DeviceKind::cpu) return;
    Tensor moved = Tensor::empty(whole_.shape(), whole_.dtype(), device);
    weft::copy(whole_, moved);
    whole_ = moved;
  }
  [[nodiscard]] Tensor tensor() const {
    return whole_.slice(margin, whole_.numel() - margin).reshape(shape_);
  }
  /// The content on the CPU, after checking the margins.
  [[nodiscard]] Tensor result() const {
    Tensor host = Tensor::empty(whole_.shape(), whole_.dtype());
    weft::copy(whole_, host);
    const std::size_t edge = static_cast<std::size_t>(margin) * dtype_size(host.dtype());
    const auto intact = [](std::byte byte) { return byte == std::byte{sentinel}; };
    EXPECT_TRUE(std::all_of(host.raw(), host.raw() + edge, intact)) << "written before the output";
    EXPECT_TRUE(std::all_of(host.raw() + host.bytes() - edge, host.raw() + host.bytes(), intact))
        << "written past the output's end";
    return host.slice(margin, host.numel() - margin).reshape(shape_).clone();
  }

 private:
  static constexpr std::int64_t margin = 64;
  static constexpr unsigned char sentinel = 0xAB;
  Shape shape_;
  Tensor whole_;
};

/// What an operation under test sees of a backend.
struct Backend {
  Ops& ops;
  /// A fresh copy of `x` on the backend's device (fresh, so nothing prepared is left from before).
  [[nodiscard]] Tensor in(const Tensor& x) const {
    if (!x.defined()) return x;
    Tensor moved = Tensor::empty(x.shape(), x.dtype(), ops.device());
    weft::copy(x, moved);
    return moved;
  }
  [[nodiscard]] TokenRows in(const TokenRows& rows) const { return {in(rows.rows), rows.split}; }
};

using Operation = std::function<void(const Backend&, Tensor y)>;

/// Parameterised by "cpu" or "cuda"; the latter is skipped with its reason where there is none.
class OpTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "cuda") {
      std::unique_ptr<Ops> ops = make_cuda_ops(0);
      if (ops == nullptr) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
      backends_.push_back(std::move(ops));
    } else {
      for (const int threads : {1, 2, 3, 4}) backends_.push_back(make_cpu_ops(threads));
    }
  }

  /// Runs `operation` on an output that starts as `initial`.
  Tensor run_on(const Tensor& initial, const Operation& operation) {
    Tensor first;
    for (const auto& ops : backends_) {
      Guarded y(initial);
      y.to_device(ops->device());
      operation({*ops}, y.tensor());
      ops->synchronize();
      const Tensor result = y.result();
      if (!first.defined()) first = result;
      EXPECT_TRUE(same_bits(result, first))
          << ops->describe() << " gives other bits than " << backends_.front()->describe();
    }
    return first;
  }
  /// Runs `operation` on an output of NaN, so that an element left out shows.
  Tensor run(const Shape& shape, const Operation& operation, DType dtype = DType::f32) {
    Tensor initial = Tensor::empty(shape, dtype);
    std::memset(initial.raw(), 0xFF, initial.bytes());
    return run_on(initial, operation);
  }
  Ops& ops() { return *backends_.front(); }

 private:
  std::vector<std::unique_ptr<Ops>> backends_;
};

}  // namespace weft::test

#define WEFT_OP_TESTS(suite)                                                  \
  class suite : public ::weft::test::OpTest {};                               \
  INSTANTIATE_TEST_SUITE_P(Backends, suite, ::testing::Values("cpu", "cuda"), \
                           [](const auto& param) { return std::string(param.param); })
