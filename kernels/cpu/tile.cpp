#include "tile.h"

#include <array>
#include <utility>

namespace weft::cpu {
namespace {

template <int rows, int vecs>
void multiply(const float* const* a, std::int64_t segments, std::int64_t length, const float* b,
              std::int64_t b_stride, float* c, std::int64_t c_stride, Tile tile) {
  Vec sum[rows][vecs] = {};
  for (std::int64_t s = 0; s < segments; ++s, a += tile_rows) {
    const float* row[rows];
    for (int r = 0; r < rows; ++r) row[r] = a[r];
    for (std::int64_t k = 0; k < length; ++k, b += b_stride) {
      Vec weight[vecs];
      for (int v = 0; v < vecs; ++v) weight[v] = load(b + v * lanes);
      for (int r = 0; r < rows; ++r) {
        const Vec x = broadcast(row[r][k]);
        for (int v = 0; v < vecs; ++v) sum[r][v] = fma(x, weight[v], sum[r][v]);
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vecs; ++v) {
      float* to = c + r * c_stride + v * lanes;
      store(to, tile == Tile::start ? sum[r][v] : load(to) + sum[r][v]);
    }
  }
}

using Kernel = void (*)(const float* const*, std::int64_t, std::int64_t, const float*, std::int64_t,
                        float*, std::int64_t, Tile);

template <std::size_t... i>
constexpr std::array<Kernel, sizeof...(i)> kernels(std::index_sequence<i...>) {
  return {multiply<static_cast<int>(i) / tile_vecs + 1, static_cast<int>(i) % tile_vecs + 1>...};
}

}  // namespace

void multiply_tile(std::int64_t rows, std::int64_t cols, const float* const* a,
                   std::int64_t segments, std::int64_t length, const float* b,
                   std::int64_t b_stride, float* c, std::int64_t c_stride, Tile tile) {
  static constexpr auto table = kernels(std::make_index_sequence<tile_rows * tile_vecs>{});
  const std::int64_t vecs = (cols + lanes - 1) / lanes;
  table[static_cast<std::size_t>((rows - 1) * tile_vecs + vecs - 1)](a, segments, length, b,
                                                                     b_stride, c, c_stride, tile);
}

}  // namespace weft::cpu
