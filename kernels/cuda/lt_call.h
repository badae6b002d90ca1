#pragma once
// One product in cuBLASLt's terms. The library thinks in columns, so our row-major c = a op(b) is
// its D [n, m] = A [n, k] B [k, m] with A = b and B = a as they lie in memory.

#include <array>
#include <memory>
#include <type_traits>
#include <vector>

#include <cublasLt.h>

#include "matmul.h"

namespace weft::cuda {

/// What Matmul is asked for. Elements of type u8 are e4m3 bytes.
struct Product {
  Matrix a, b, c;
  SecondFactor second = SecondFactor::transposed;
  std::int64_t batch = 1;
  float alpha = 1;
  Bias bias{};
  Activation act = Activation::none;
  const float* a_scale = nullptr;  // e4m3: one per row of a
  const float* b_scale = nullptr;  // and of b

  /// Equal for products that one algorithm serves: sizes, types, strides, alignments, epilogue.
  using Key = std::array<std::int64_t, 21>;
  [[nodiscard]] Key key() const;
  [[nodiscard]] double flops() const;
};

/// The parts of a Product that are done within the library's call.
struct Fused {
  bool scales = false, bias = false, act = false;
};

template <auto destroy>
struct Destroy {
  void operator()(auto* handle) const { destroy(handle); }
};
template <class Handle, auto destroy>
using LtHandle = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<destroy>>;

/// A Product with some parts fused, ready to be asked for.
class LtCall {
 public:
  LtCall(const Product& product, const Fused& fused);
  /// The library's proposals for it, best first; none when it has no algorithm.
  [[nodiscard]] std::vector<cublasLtMatmulAlgo_t> proposals(cublasLtHandle_t library,
                                                            std::size_t workspace_bytes,
                                                            int count) const;
  [[nodiscard]] cublasStatus_t run(cublasLtHandle_t library, const cublasLtMatmulAlgo_t& algo,
                                   const Tensor& workspace) const;

 private:
  using Layout = LtHandle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
  static Layout layout(const Matrix& matrix, std::int64_t batch);
  void set_epilogue(const Fused& fused);
  void set_fp8(const Fused& fused);

  Product product_;
  LtHandle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> operation_;
  Layout a_, b_, c_;  // of our a, b, c
};

}  // namespace weft::cuda
