#pragma once
// One test body for every implementation of Ops: the CPU, CUDA in float32 and CUDA in bfloat16. An
// operation runs on guarded outputs; on the CPU it runs with 1, 2, 3 and 4 threads, whose bits must
// agree. Tests see float32 tensors on the host only: inputs that an operation takes as activations
// are drawn already rounded to the activation type, so that reference and kernel start from the
// same numbers.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
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

/// bfloat16 on the host as float32; other types as they are.
inline Tensor as_float(const Tensor& x) { return x.dtype() == DType::bf16 ? x.as(DType::f32) : x; }

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

/// A tensor in the middle of a larger one whose other elements tell of writes outside. It starts
/// `first` elements past an aligned address.
class Guarded {
 public:
  Guarded(const Tensor& content, std::int64_t first)
      : shape_(content.shape()), begin_(margin + first), count_(content.numel()) {
    whole_ = Tensor::empty({begin_ + count_ + margin}, content.dtype());
    std::memset(whole_.raw(), sentinel, whole_.bytes());
    weft::copy(content, whole_.slice(begin_, begin_ + count_));
  }
  void to_device(DeviceKind device) {
    if (device == DeviceKind::cpu) return;
    Tensor moved = Tensor::empty(whole_.shape(), whole_.dtype(), device);
    weft::copy(whole_, moved);
    whole_ = moved;
  }
  [[nodiscard]] Tensor tensor() const {
    return whole_.slice(begin_, begin_ + count_).reshape(shape_);
  }
  /// The content on the CPU, after checking the margins.
  [[nodiscard]] Tensor result() const {
    Tensor host = Tensor::empty(whole_.shape(), whole_.dtype());
    weft::copy(whole_, host);
    const std::byte* all = host.raw();
    const std::byte* begin = host.slice(begin_, begin_ + count_).raw();
    const std::byte* end = host.slice(begin_ + count_, host.numel()).raw();
    const auto intact = [](std::byte byte) { return byte == std::byte{sentinel}; };
    EXPECT_TRUE(std::all_of(all, begin, intact)) << "written before the output";
    EXPECT_TRUE(std::all_of(end, all + host.bytes(), intact)) << "written past the output's end";
    return host.slice(begin_, begin_ + count_).reshape(shape_).clone();
  }

 private:
  static constexpr std::int64_t margin = 64;
  static constexpr unsigned char sentinel = 0xAB;
  Shape shape_;
  std::int64_t begin_, count_;
  Tensor whole_;
};

/// What an operation under test sees of a backend.
struct Backend {
  Ops& ops;
  std::int64_t first = 0;  // inputs start this many elements past an aligned address
  /// A fresh copy of `x` on the backend's device (fresh, so nothing prepared is left from before).
  [[nodiscard]] Tensor in(const Tensor& x) const {
    if (!x.defined()) return x;
    const std::int64_t count = x.numel();
    const Tensor whole = Tensor::empty({first + count}, x.dtype(), ops.device());
    const Tensor moved = whole.slice(first, first + count).reshape(x.shape());
    weft::copy(x, moved);
    return moved;
  }
  [[nodiscard]] TokenRows in(const TokenRows& rows) const { return {in(rows.rows), rows.split}; }
  /// The same as the backend's activations. `x` should hold values of that type: random_act().
  [[nodiscard]] Tensor act(const Tensor& x) const {
    return x.defined() ? in(x.as(ops.activation())) : x;
  }
};

using Operation = std::function<void(const Backend&, Tensor y)>;

/// The CUDA backend of one precision; nullptr without CUDA. Made once, since a process has one
/// device, and never destroyed: at exit the CUDA runtime may go before anything static here.
inline std::shared_ptr<Ops> cuda_ops(Precision precision) {
  static auto& made = *new std::map<Precision, std::shared_ptr<Ops>>;
  std::shared_ptr<Ops>& ops = made[precision];
  if (ops == nullptr) ops = make_cuda_ops(0, precision);
  return ops;
}

/// Parameterised by the backend: "cpu", "cuda" (float32) or "cuda_bf16"; the latter two are skipped
/// with the reason where there is no CUDA.
class OpTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string backend = GetParam();
    if (backend == "cpu") {
      for (const int threads : {1, 2, 3, 4}) backends_.push_back(make_cpu_ops(threads));
      return;
    }
    std::shared_ptr<Ops> ops = cuda_ops(backend == "cuda" ? Precision::f32 : Precision::bf16);
    if (ops == nullptr) GTEST_SKIP() << "no CUDA: " << cuda_absent_reason();
    backends_.push_back(std::move(ops));
  }

  Ops& ops() { return *backends_.front(); }
  bool on_cuda() { return ops().device() == DeviceKind::cuda; }
  /// How far a result may lie from the double-precision reference.
  double bound() { return ops().activation() == DType::bf16 ? kernel_bf16 : kernel_f32; }
  /// Normal values as float32, rounded to the backend's activation type.
  Tensor random_act(const Shape& shape, unsigned seed, float scale = 1) {
    return as_float(random_tensor(shape, seed, scale).as(ops().activation()));
  }
  /// From now on inputs and outputs start this many elements past an aligned address.
  void start_at(std::int64_t inputs, std::int64_t outputs) {
    first_input_ = inputs;
    first_output_ = outputs;
  }

  /// Runs `operation` on an output that starts as `initial` and is of type `type` on the device.
  /// Returns it on the host, as float32 where it is bfloat16.
  Tensor run_on(const Tensor& initial, const Operation& operation, DType type) {
    Tensor first;
    for (const auto& ops : backends_) {
      Guarded y(initial.as(type), first_output_);
      y.to_device(ops->device());
      operation({*ops, first_input_}, y.tensor());
      ops->synchronize();
      const Tensor result = y.result();
      if (!first.defined()) first = result;
      EXPECT_TRUE(same_bits(result, first))
          << ops->describe() << " gives other bits than " << backends_.front()->describe();
    }
    return as_float(first);
  }
  Tensor run_on(const Tensor& initial, const Operation& operation) {
    return run_on(initial, operation, ops().activation());
  }
  /// Runs `operation` on an output of NaN, so that an element left out shows.
  Tensor run(const Shape& shape, const Operation& operation, DType type) {
    Tensor initial = Tensor::empty(shape, type);
    std::memset(initial.raw(), 0xFF, initial.bytes());
    return run_on(initial, operation, type);
  }
  Tensor run(const Shape& shape, const Operation& operation) {
    return run(shape, operation, ops().activation());
  }

 private:
  std::vector<std::shared_ptr<Ops>> backends_;
  std::int64_t first_input_ = 0, first_output_ = 0;
};

}  // namespace weft::test

#define WEFT_ON_EVERY_BACKEND(suite)                                                       \
  INSTANTIATE_TEST_SUITE_P(Backends, suite, ::testing::Values("cpu", "cuda", "cuda_bf16"), \
                           [](const auto& param) { return std::string(param.param); })

#define WEFT_OP_TESTS(suite)                    \
  class suite : public ::weft::test::OpTest {}; \
  WEFT_ON_EVERY_BACKEND(suite)
