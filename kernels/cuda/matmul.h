#pragma once
// Matrix products by cuBLASLt: the algorithm of each shape is what the library's heuristic proposes
// first, asked once and kept. The same GPU model and library give the same choice, and so the same
// bits, on every rank and every run.

#include <memory>

#include "weft/ops/ops.h"

namespace weft::cuda {

/// One operand of a batched product: rows of `row_stride` elements, matrices `batch_stride` apart.
struct Matrix {
  void* data = nullptr;
  DType type = DType::f32;
  std::int64_t rows = 0, cols = 0;
  std::int64_t row_stride = 0;    // elements
  std::int64_t batch_stride = 0;  // elements; 0: the same matrix for every product of the batch
};

/// Added to each row of the result: [cols], per product of the batch `batch_stride` elements apart.
/// Fused into the product when it is of the result's type and starts at a multiple of 16 bytes,
/// else added in a following pass.
struct Bias {
  const void* data = nullptr;  // nullptr: none
  DType type = DType::f32;     // f32 or bf16
  std::int64_t batch_stride = 0;
};

enum class SecondFactor : std::uint8_t { as_is, transposed };

class Matmul {
 public:
  Matmul();
  ~Matmul();
  /// c = act(alpha a b + bias) for `batch` products: a [m, k]; b [k, n], or [n, k] when
  /// transposed; c [m, n]; a and b of one type (f32 or bf16), c that type or f32. f32 products are
  /// computed in true float32 (no TF32), sums in float32. Any sizes but 0, any alignment.
  void multiply(const Matrix& a, const Matrix& b, SecondFactor second, const Matrix& c,
                std::int64_t batch, float alpha = 1, const Bias& bias = {},
                Activation act = Activation::none);
  /// The same, or false where cuBLASLt has no algorithm for it.
  [[nodiscard]] bool try_multiply(const Matrix& a, const Matrix& b, SecondFactor second,
                                  const Matrix& c, std::int64_t batch, float alpha = 1,
                                  const Bias& bias = {}, Activation act = Activation::none);
  /// c = act(a b^T scaled + bias) in e4m3: a [m, k] e4m3 bytes with one float32 scale per row
  /// (a = scale[row] * stored), b [n, k] e4m3 bytes with one scale per row, c [m, n] bf16.
  /// k and n are multiples of 16, and the matrices begin at multiples of 16 bytes.
  void multiply_fp8(const void* a, const float* a_scale, const void* b, const float* b_scale,
                    const Matrix& c, std::int64_t k, const Bias& bias, Activation act);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::cuda
