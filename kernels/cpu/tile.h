#pragma once
// The multiply kernel under linear, conv and attention: a tile of up to tile_rows x tile_cols sums
// kept in registers. Each sum is a chain of fused multiply-adds in the order of k, so its bits do
// not depend on the tile's shape, its place, the vector width or the number of threads.

#include <cstdint>

#include "simd.h"

namespace weft::cpu {

inline constexpr int tile_vecs = 3;
inline constexpr std::int64_t tile_cols = tile_vecs * lanes;
// Products summed in registers before the partial sum is added to the tile in memory: bounds both
// the weights held in cache and the growth of rounding errors.
inline constexpr std::int64_t chunk_k = 256;

enum class Tile : std::uint8_t { start, add };  // c = sum, or c = c + sum

/// c[r][j] (+)= sum over s < segments, k < length of a[s * tile_rows + r][k] b[(s length + k)][j]
/// for r < rows, j < cols rounded up to a multiple of `lanes`; rows of b are `b_stride` apart.
void multiply_tile(std::int64_t rows, std::int64_t cols, const float* const* a,
                   std::int64_t segments, std::int64_t length, const float* b,
                   std::int64_t b_stride, float* c, std::int64_t c_stride, Tile tile);

}  // namespace weft::cpu
