// linear.
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

}  // namespace weft::cpu
