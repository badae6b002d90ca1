#pragma once
// The part of a product that its library did not do: one pass over the result.

#include "matmul.h"

namespace weft::cuda {

/// c[i, j] = act(product[i, j] row_scale[i] col_scale[j] + bias[j]).
struct Epilogue {
  const float* row_scale = nullptr;  // [rows]; nullptr: both scales are 1
  const float* col_scale = nullptr;  // [cols]
  Bias bias{};
  Activation act = Activation::none;
  [[nodiscard]] bool empty() const {
    return row_scale == nullptr && bias.data == nullptr && act == Activation::none;
  }
};

/// For each of `batch` matrices. `product` may be c itself; it is float32 or of c's type. The
/// scales serve a batch of one only.
void apply_epilogue(const Matrix& product, const Matrix& c, std::int64_t batch,
                    const Epilogue& epilogue);

}  // namespace weft::cuda
