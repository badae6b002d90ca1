#pragma once
// Matrix products over packed weights, for linear (one tap) and convolution (a tap per kernel
// position): out[row, n] = act(sum over taps, k of a(row, tap)[k] w[n, tap, k] + bias[n]).

#include <cstdint>
#include <functional>
#include <memory>

#include "weft/ops/ops.h"

#include "tile.h"

namespace weft::cpu {

/// Weights reordered to [panel of tile_cols outputs][tap][k][output], outputs padded with zeros.
struct PackedWeights {
  std::int64_t outputs = 0, taps = 0, depth = 0;
  Tensor data;
  [[nodiscard]] const float* panel(std::int64_t p) const {
    return data.data<float>() + p * taps * depth * tile_cols;
  }
};

/// The packed form of w, element (n, tap, k) at w[n n_stride + tap tap_stride + k k_stride]; made
/// at the first call and kept with w's storage. Safe to call from several threads.
std::shared_ptr<const PackedWeights> packed_weights(const Tensor& w, std::int64_t outputs,
                                                    std::int64_t taps, std::int64_t depth,
                                                    std::int64_t tap_stride, std::int64_t k_stride,
                                                    int threads);

/// Fills pointers[s * tile_rows + r] with the input of row `row + r` (r < rows) and tap `tap + s`
/// (s < taps).
using RowPointers = std::function<void(std::int64_t row, std::int64_t rows, std::int64_t tap,
                                       std::int64_t taps, const float** pointers)>;

/// out [rows, outputs]; bias may be null.
void multiply_packed(int threads, std::int64_t rows, const RowPointers& pointers,
                     const PackedWeights& weights, const float* bias, Activation act, float* out);

}  // namespace weft::cpu
