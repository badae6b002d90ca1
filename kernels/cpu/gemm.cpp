#include "gemm.h"

#include <map>
#include <mutex>
#include <tuple>

#include "parallel.h"

namespace weft::cpu {
namespace {

// What Storage::prepared points to: one entry per view of the storage used as weights.
struct PreparedWeights {
  using Key = std::tuple<const std::byte*, std::int64_t, std::int64_t, std::int64_t>;
  std::map<Key, std::shared_ptr<const PackedWeights>> entries;
};

std::mutex& prepared_mutex() {
  static std::mutex mutex;
  return mutex;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::shared_ptr<const PackedWeights> pack(const Tensor& w, std::int64_t outputs, std::int64_t taps,
                                          std::int64_t depth, std::int64_t tap_stride,
                                          std::int64_t k_stride, int threads) {
  auto packed = std::make_shared<PackedWeights>();
  packed->outputs = outputs;
  packed->taps = taps;
  packed->depth = depth;
  const std::int64_t panels = ceil_div(outputs, tile_cols);
  packed->data = Tensor::empty({panels, taps * depth, tile_cols});
  const float* from = w.data<float>();
  float* to = packed->data.data<float>();
  for_tasks(threads, panels, [&](std::int64_t panel) {
    float* p = to + panel * taps * depth * tile_cols;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      for (std::int64_t k = 0; k < depth; ++k, p += tile_cols) {
        for (std::int64_t j = 0; j < tile_cols; ++j) {
          const std::int64_t n = panel * tile_cols + j;
          p[j] = n < outputs ? from[n * taps * depth + tap * tap_stride + k * k_stride] : 0.F;
        }
      }
    }
  });
  return packed;
}

// A part of the sum that one pass accumulates in registers: some whole taps or a part of one.
struct Chunk {
  std::int64_t tap, taps, k, length;
};

std::vector<Chunk> chunks_of(std::int64_t taps, std::int64_t depth) {
  std::vector<Chunk> chunks;
  if (depth <= chunk_k) {
    const std::int64_t step = chunk_k / depth;
    for (std::int64_t t = 0; t < taps; t += step) {
      chunks.push_back({t, std::min(step, taps - t), 0, depth});
    }
    return chunks;
  }
  const std::int64_t parts = ceil_div(depth, chunk_k);
  for (std::int64_t t = 0; t < taps; ++t) {
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t begin = part * depth / parts;
      chunks.push_back({t, 1, begin, (part + 1) * depth / parts - begin});
    }
  }
  return chunks;
}

void finish_row(float* y, const float* bias, std::int64_t cols, Activation act) {
  if (bias != nullptr) {
    for (std::int64_t j = 0; j < cols; ++j) y[j] += bias[j];
  }
  if (act == Activation::silu) map(y, y, cols, [](Vec v) { return silu(v); });
  if (act == Activation::gelu_tanh) map(y, y, cols, [](Vec v) { return gelu_tanh(v); });
}

}  // namespace

std::shared_ptr<const PackedWeights> packed_weights(const Tensor& w, std::int64_t outputs,
                                                    std::int64_t taps, std::int64_t depth,
                                                    std::int64_t tap_stride, std::int64_t k_stride,
                                                    int threads) {
  const std::scoped_lock lock(prepared_mutex());
  auto& slot = w.storage()->prepared;
  if (slot == nullptr) slot = std::make_shared<PreparedWeights>();
  auto& entries = static_cast<PreparedWeights*>(slot.get())->entries;
  auto& entry = entries[{w.raw(), outputs, taps, depth}];
  if (entry == nullptr) entry = pack(w, outputs, taps, depth, tap_stride, k_stride, threads);
  return entry;
}

void multiply_packed(int threads, std::int64_t rows, const RowPointers& pointers,
                     const PackedWeights& weights, const float* bias, Activation act, float* out) {
  const std::int64_t outputs = weights.outputs;
  // A block of rows is long enough to pay for bringing its weights into the cache once; a block of
  // columns is narrow enough for chunk_k rows of weights to stay there, and narrower when there are
  // few rows, so that all threads have work. The split cannot change a bit (tile.h).
  const std::int64_t block_rows = 16 * tile_rows;
  const std::int64_t block_cols = tile_cols * (rows <= block_rows ? 2 : 10);
  const std::int64_t row_blocks = ceil_div(rows, block_rows);
  const std::int64_t col_blocks = ceil_div(outputs, block_cols);
  const std::vector<Chunk> chunks = chunks_of(weights.taps, weights.depth);

  for_tasks(threads, row_blocks * col_blocks, [&](std::int64_t task) {
    const std::int64_t row_begin = task / col_blocks * block_rows;
    const std::int64_t row_end = std::min(rows, row_begin + block_rows);
    const std::int64_t col_begin = task % col_blocks * block_cols;
    const std::int64_t col_end = std::min(outputs, col_begin + block_cols);
    std::vector<const float*> inputs(static_cast<std::size_t>(chunk_k * tile_rows));
    alignas(64) float edge[tile_rows * tile_cols];
    for (const Chunk& chunk : chunks) {
      const Tile tile = &chunk == &chunks.front() ? Tile::start : Tile::add;
      const std::int64_t first_k = chunk.tap * weights.depth + chunk.k;
      for (std::int64_t row = row_begin; row < row_end; row += tile_rows) {
        const std::int64_t tile_r = std::min<std::int64_t>(tile_rows, row_end - row);
        pointers(row, tile_r, chunk.tap, chunk.taps, inputs.data());
        if (chunk.k != 0) {
          for (std::int64_t r = 0; r < tile_r; ++r) inputs[static_cast<std::size_t>(r)] += chunk.k;
        }
        for (std::int64_t col = col_begin; col < col_end; col += tile_cols) {
          const float* b = weights.panel(col / tile_cols) + first_k * tile_cols;
          const std::int64_t cols = std::min(tile_cols, col_end - col);
          float* c = out + row * outputs + col;
          if (cols % lanes == 0) {
            multiply_tile(tile_r, cols, inputs.data(), chunk.taps, chunk.length, b, tile_cols, c,
                          outputs, tile);
            continue;
          }
          // The last vector would write past the row's end: sum beside it and copy what belongs.
          multiply_tile(tile_r, cols, inputs.data(), chunk.taps, chunk.length, b, tile_cols, edge,
                        tile_cols, Tile::start);
          for (std::int64_t r = 0; r < tile_r; ++r) {
            for (std::int64_t j = 0; j < cols; ++j) {
              float& y = c[r * outputs + j];
              y = tile == Tile::start ? edge[r * tile_cols + j] : y + edge[r * tile_cols + j];
            }
          }
        }
      }
    }
    for (std::int64_t row = row_begin; row < row_end; ++row) {
      finish_row(out + row * outputs + col_begin, bias == nullptr ? nullptr : bias + col_begin,
                 col_end - col_begin, act);
    }
  });
}

}  // namespace weft::cpu
