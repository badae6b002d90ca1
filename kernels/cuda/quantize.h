#pragma once
// bfloat16 rows as 8-bit floats (e4m3) with a scale per row, for matmuls on the fp8 tensor cores.

#include <cstdint>

#include "weft/device/tensor.h"

namespace weft::cuda {

/// x[i, k] is about scale[i] * values[i, k].
struct Quantized {
  Tensor values;  // [M, K] f8e4m3
  Tensor scale;   // [M] float32: max |x[i, :]| / 448, the largest e4m3 number; 0 for a row of zeros
};

/// `rows` as whole tiles of 128, in which cuDNN's attention in e4m3 reads and writes tokens.
constexpr std::int64_t whole_tiles(std::int64_t rows) { return (rows + 127) / 128 * 128; }

/// One tensor for both, f8e4m3 [rows, cols]: its storage holds whole tiles of rows and, behind
/// them, the scales. cols as in quantizable().
Tensor quantized_rows(std::int64_t rows, std::int64_t cols);
/// Its two parts, which share its storage. `x` is the whole tensor, not a slice.
Quantized quantized_view(const Tensor& x);

/// Whether quantize_rows takes x: bfloat16 [M, K], K a multiple of 16 and at most 16384, aligned.
bool quantizable(const Tensor& x);
Quantized quantize_rows(const Tensor& x);
/// The same to where `to` is.
void quantize_rows(const Tensor& x, const Quantized& to);

/// Throws, naming the device, unless it multiplies e4m3 (compute capability 8.9 and newer).
void require_fp8(int device_index);

}  // namespace weft::cuda
