// linear and linear_group: to cuBLASLt in the type of the operands, to e4m3 where the job allows
// it, or to the kernel for few rows.
#include <map>
#include <optional>
#include <tuple>

#include "cuda_ops.h"
#include "few_rows.h"
#include "matmul.h"
#include "quantize.h"

namespace weft::cuda {
namespace {

Matrix matrix(const Tensor& t, std::int64_t batch_stride = 0) {
  return {t.raw(), t.dtype(), t.dim(0), t.dim(1), t.dim(1), batch_stride};
}

Bias bias_of(const Tensor& b, std::int64_t batch_stride = 0) {
  if (!b.defined()) return {};
  return {b.raw(), b.dtype(), batch_stride};
}

void check_shapes(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y) {
  WEFT_ASSERT(w.shape() == Shape({w.dim(0), x.dim(1)}) &&
                  y.shape() == Shape({x.dim(0), w.dim(0)}) &&
                  (!b.defined() || b.numel() == w.dim(0)),
              "linear: x {}, w {}, y {}", x.shape().str(), w.shape().str(), y.shape().str());
}

// Whether cuBLASLt multiplies these: many rows, no mixture of types, something to sum.
bool for_library(const Tensor& x, const Tensor& w, const Tensor& y) {
  return x.dim(0) > few_rows && x.dim(1) > 0 && x.dtype() == w.dtype() &&
         (y.dtype() == x.dtype() || y.dtype() == DType::f32);
}

bool for_fp8(const Tensor& x, const Tensor& w, const Tensor& y) {
  return w.storage()->reducible && x.dim(0) > few_rows && x.dim(1) > 0 &&
         (x.dtype() == DType::f8e4m3 || quantizable(x)) && quantizable(w) &&
         y.dtype() == DType::bf16 && y.dim(1) % 16 == 0 &&
         reinterpret_cast<std::uintptr_t>(y.raw()) % 16 == 0;
}

// x as its norm wrote it, or from its bfloat16.
Quantized quantized_input(const Tensor& x) {
  return x.dtype() == DType::f8e4m3 ? quantized_view(x) : quantize_rows(x);
}

// What Storage::prepared of a reducible weight points to: one entry per view used as a weight.
struct QuantizedWeights {
  using Key = std::tuple<const std::byte*, std::int64_t, std::int64_t>;
  std::map<Key, Quantized> entries;
};

const Quantized& quantized_weight(const Tensor& w) {
  auto& slot = w.storage()->prepared;
  if (slot == nullptr) slot = std::make_shared<QuantizedWeights>();
  auto& entries = static_cast<QuantizedWeights*>(slot.get())->entries;
  const QuantizedWeights::Key key{w.raw(), w.dim(0), w.dim(1)};
  auto found = entries.find(key);
  if (found == entries.end()) found = entries.emplace(key, quantize_rows(w)).first;
  return found->second;
}

void linear_fp8(Matmul& matmul, const Quantized& x, const Tensor& w, const Tensor& b,
                const Tensor& y, Activation act) {
  const Quantized& weight = quantized_weight(w);
  matmul.multiply_fp8(x.values.raw(), x.scale.data<float>(), weight.values.raw(),
                      weight.scale.data<float>(), matrix(y), w.dim(1), bias_of(b), act);
}

// Elements from each tensor to the next, when all are alike and lie evenly, one after the other.
std::optional<std::int64_t> spacing(std::span<const Tensor> tensors) {
  const auto address = [](const Tensor& t) { return reinterpret_cast<std::intptr_t>(t.raw()); };
  const Tensor& first = tensors[0];
  const std::intptr_t step = address(tensors[1]) - address(first);
  if (step < static_cast<std::intptr_t>(first.bytes())) return std::nullopt;
  for (std::size_t i = 1; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    const bool alike = t.shape() == first.shape() && t.dtype() == first.dtype();
    if (!alike || address(t) - address(tensors[i - 1]) != step) return std::nullopt;
  }
  const auto size = static_cast<std::intptr_t>(dtype_size(first.dtype()));
  return step % size == 0 ? std::optional<std::int64_t>(step / size) : std::nullopt;
}

// Spacing of the biases; 0 when there are none.
std::optional<std::int64_t> bias_spacing(std::span<const Tensor> b) {
  if (b.empty()) return 0;
  for (const Tensor& bias : b) {
    if (!bias.defined()) return std::nullopt;
  }
  return spacing(b);
}

}  // namespace

void CudaOps::linear(const Tensor& x, const Tensor& w, const Tensor& b, Tensor y, Activation act) {
  check_shapes(x, w, b, y);
  if (y.numel() == 0) return;
  if (precision_ == Precision::fp8 && for_fp8(x, w, y)) {
    return linear_fp8(*matmul_, quantized_input(x), w, b, y, act);
  }
  WEFT_ASSERT(x.dtype() != DType::f8e4m3, "linear: e4m3 x {}, but w {} {}, y {} {} need bf16",
              x.shape().str(), dtype_name(w.dtype()), w.shape().str(), dtype_name(y.dtype()),
              y.shape().str());
  if (for_library(x, w, y) && matmul_->try_multiply(matrix(x), matrix(w), SecondFactor::transposed,
                                                    matrix(y), 1, 1, bias_of(b), act)) {
    return;
  }
  linear_few_rows(x, w, b, y, act);
}

void CudaOps::linear_group(const Tensor& x, std::span<const Tensor> w, std::span<const Tensor> b,
                           std::span<const Tensor> y) {
  WEFT_ASSERT(w.size() == y.size() && (b.empty() || b.size() == w.size()),
              "linear_group: {} weights, {} biases, {} outputs", w.size(), b.size(), y.size());
  bool fp8 = precision_ == Precision::fp8;
  bool library = w.size() > 1;
  for (std::size_t i = 0; i < w.size(); ++i) {
    check_shapes(x, w[i], b.empty() ? Tensor{} : b[i], y[i]);
    fp8 = fp8 && y[i].numel() > 0 && for_fp8(x, w[i], y[i]);
    library = library && y[i].numel() > 0 && for_library(x, w[i], y[i]);
  }
  if (fp8) {
    const Quantized input = quantized_input(x);  // once for all
    for (std::size_t i = 0; i < w.size(); ++i) {
      linear_fp8(*matmul_, input, w[i], b.empty() ? Tensor{} : b[i], y[i], Activation::none);
    }
    return;
  }
  if (library) {
    const auto w_step = spacing(w);
    const auto b_step = bias_spacing(b);
    const auto y_step = spacing(y);
    if (w_step && b_step && y_step &&
        matmul_->try_multiply(matrix(x), matrix(w[0], *w_step), SecondFactor::transposed,
                              matrix(y[0], *y_step), static_cast<std::int64_t>(w.size()), 1,
                              bias_of(b.empty() ? Tensor{} : b[0], *b_step))) {
      return;
    }
  }
  for (std::size_t i = 0; i < w.size(); ++i) {
    linear(x, w[i], b.empty() ? Tensor{} : b[i], y[i], Activation::none);
  }
}

}  // namespace weft::cuda
