// linear and embedding.
#include <cstring>

#include "cpu_ops.h"
#include "gemm.h"
#include "parallel.h"

namespace weft::cpu {

void CpuOps::linear(const Tensor& x, const Tensor& w, const Tensor& b, Tensor y, Activation act) {
  const std::int64_t rows = x.dim(0);
  const std::int64_t depth = x.dim(1);
  const std::int64_t outputs = w.dim(0);
  WEFT_ASSERT(w.shape() == Shape({outputs, depth}) && y.shape() == Shape({rows, outputs}) &&
                  (!b.defined() || b.numel() == outputs),
              "linear: x {}, w {}, y {}", x.shape().str(), w.shape().str(), y.shape().str());
  const auto weights = packed_weights(w, outputs, 1, depth, 0, 1, threads_);
  const float* input = x.data<float>();
  const RowPointers pointers = [=](std::int64_t row, std::int64_t count, std::int64_t /*tap*/,
                                   std::int64_t /*taps*/, const float** to) {
    for (std::int64_t r = 0; r < count; ++r) to[r] = input + (row + r) * depth;
  };
  multiply_packed(threads_, rows, pointers, *weights, b.defined() ? b.data<float>() : nullptr, act,
                  y.data<float>());
}

void CpuOps::embedding(std::span<const std::int32_t> ids, const Tensor& table, Tensor y) {
  const std::int64_t width = table.dim(1);
  WEFT_ASSERT(y.shape() == Shape({static_cast<std::int64_t>(ids.size()), width}),
              "embedding: {} ids, table {}, y {}", ids.size(), table.shape().str(),
              y.shape().str());
  const float* from = table.data<float>();
  float* to = y.data<float>();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    WEFT_ASSERT(0 <= ids[i] && ids[i] < table.dim(0), "token id {} of {}", ids[i], table.dim(0));
    std::memcpy(to + static_cast<std::int64_t>(i) * width, from + ids[i] * width,
                static_cast<std::size_t>(width) * sizeof(float));
  }
}

}  // namespace weft::cpu
