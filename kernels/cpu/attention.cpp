// Attention with an online softmax: queries in groups of tile_rows, keys in blocks whose packed
// form stays in cache; logits exist for one group and one block at a time.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu_ops.h"
#include "parallel.h"
#include "tile.h"

namespace weft::cpu {
namespace {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();
constexpr std::int64_t query_block = 16 * tile_rows;

std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

// Sizes of one call. Keys are padded to whole tiles; a head's width to whole tiles of columns.
struct Sizes {
  std::int64_t queries, keys, heads, width;
  [[nodiscard]] std::int64_t padded_keys() const { return round_up(keys, tile_cols_keys); }
  [[nodiscard]] std::int64_t padded_width() const { return round_up(width, lanes); }
  // 48 keys are a whole number of tiles at every vector width, so that the blocks, and with them
  // the order of all sums, are the same everywhere.
  static constexpr std::int64_t tile_cols_keys = 48;
  /// Keys per block, by the width alone: keys and values of a block fill about half a megabyte.
  [[nodiscard]] std::int64_t key_block() const {
    return tile_cols_keys * std::clamp<std::int64_t>(1024 / padded_width(), 1, 8);
  }
};
static_assert(Sizes::tile_cols_keys % tile_cols == 0);

constexpr std::int64_t pack_piece = 16 * Sizes::tile_cols_keys;

/// Keys [begin, end) of one head as tiles [panel][width][tile_cols], zeros behind the last key.
void pack_keys(const Sizes& s, std::int64_t begin, std::int64_t end, const float* k, float* to) {
  for (std::int64_t first = begin; first < end; first += tile_cols) {
    for (std::int64_t j = 0; j < tile_cols; ++j) {
      const bool real = first + j < s.keys;
      const float* row = real ? k + (first + j) * s.heads * s.width : nullptr;
      float* column = to + first * s.width + j;
      for (std::int64_t i = 0; i < s.width; ++i) column[i * tile_cols] = real ? row[i] : 0.F;
    }
  }
}

/// Values [begin, end) of one head as [key][padded width], zeros behind the width.
void pack_values(const Sizes& s, std::int64_t begin, std::int64_t end, const float* v, float* to) {
  for (std::int64_t j = begin; j < std::min(end, s.keys); ++j) {
    float* row = to + j * s.padded_width();
    std::copy_n(v + j * s.heads * s.width, s.width, row);
    std::fill(row + s.width, row + s.padded_width(), 0.F);
  }
}

// The running softmax of one query.
struct Row {
  float max = minus_infinity;
  float sum = 0;
};

// Maxima and sums run in 16 lanes at every vector width, so that their order is the same
// everywhere.
constexpr std::int64_t fold_lanes = 16;
constexpr std::int64_t fold_vecs = fold_lanes / lanes;

template <class F>
float fold(const Vec (&vecs)[fold_vecs], F combine) {
  float lane[fold_lanes];
  for (std::int64_t v = 0; v < fold_vecs; ++v) store(lane + v * lanes, vecs[v]);
  for (std::int64_t half = fold_lanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i) lane[i] = combine(lane[i], lane[i + half]);
  }
  return lane[0];
}

/// logits = logits scale (+ bias); the padding behind them becomes -inf. Returns the maximum.
float scale_logits(float* logits, std::int64_t count, std::int64_t padded, float scale,
                   const float* bias, float last_key_logit) {
  if (bias != nullptr) {
    for (std::int64_t j = 0; j < count; ++j) logits[j] = logits[j] * scale + bias[j];
    scale = 1;
  }
  if (last_key_logit != 0) {
    for (std::int64_t j = 0; j < count; ++j) logits[j] *= scale;
    logits[count - 1] += last_key_logit;
    scale = 1;
  }
  Vec top[fold_vecs];
  for (Vec& v : top) v = broadcast(minus_infinity);
  const Vec factor = broadcast(scale);
  if (count < padded) std::fill(logits + count, logits + padded, minus_infinity);
  for (std::int64_t j = 0; j < padded; j += fold_lanes) {
    for (std::int64_t v = 0; v < fold_vecs; ++v) {
      const Vec scaled = load(logits + j + v * lanes) * factor;
      store(logits + j + v * lanes, scaled);
      top[v] = max(scaled, top[v]);
    }
  }
  return fold(top, [](float x, float y) { return x > y ? x : y; });
}

/// Turns `logits`, of maximum `block_max`, into exp(logit - maximum so far); returns the factor
/// that earlier sums must be scaled by.
float soften(float* logits, std::int64_t padded, float block_max, Row& row) {
  const float new_max = std::max(row.max, block_max);
  // All keys so far masked: any finite reference gives weights exp(-inf) = 0.
  const float reference = new_max == minus_infinity ? 0.F : new_max;
  const float factor = exp(broadcast(row.max - reference))[0];
  const Vec shift = broadcast(reference);
  Vec sum[fold_vecs] = {};
  for (std::int64_t j = 0; j < padded; j += fold_lanes) {
    for (std::int64_t v = 0; v < fold_vecs; ++v) {
      const Vec weight = exp(load(logits + j + v * lanes) - shift);
      store(logits + j + v * lanes, weight);
      sum[v] += weight;
    }
  }
  row.sum = row.sum * factor + fold(sum, [](float x, float y) { return x + y; });
  row.max = new_max;
  return factor;
}

}  // namespace

void CpuOps::attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args,
                       Tensor out) {
  const Sizes s{q.dim(0), k.dim(0), q.dim(1), q.dim(2)};
  WEFT_ASSERT(k.shape() == Shape({s.keys, s.heads, s.width}) && v.shape() == k.shape() &&
                  out.shape() == q.shape() && s.keys > 0,
              "attention: q {}, k {}, v {}, out {}", q.shape().str(), k.shape().str(),
              v.shape().str(), out.shape().str());
  const std::int64_t positions = s.queries + s.keys - 1;
  WEFT_ASSERT(!args.bias.defined() || args.bias.shape() == Shape({s.heads, positions}),
              "attention: bias {}", args.bias.shape().str());
  WEFT_ASSERT(!args.lse.defined() || args.lse.shape() == Shape({s.heads, s.queries}),
              "attention: lse {}", args.lse.shape().str());
  const Tensor packed_k = Tensor::empty({s.heads, s.padded_keys(), s.width});
  const Tensor packed_v = Tensor::empty({s.heads, s.padded_keys(), s.padded_width()});
  const std::int64_t pieces = (s.padded_keys() + pack_piece - 1) / pack_piece;
  for_tasks(threads_, s.heads * pieces, [&](std::int64_t task) {
    const std::int64_t h = task / pieces;
    const std::int64_t begin = task % pieces * pack_piece;
    const std::int64_t end = std::min(s.padded_keys(), begin + pack_piece);
    pack_keys(s, begin, end, k.data<float>() + h * s.width,
              packed_k.data<float>() + h * s.padded_keys() * s.width);
    pack_values(s, begin, end, v.data<float>() + h * s.width,
                packed_v.data<float>() + h * s.padded_keys() * s.padded_width());
  });

  const std::int64_t blocks = (s.queries + query_block - 1) / query_block;
  const std::int64_t key_block = s.key_block();
  for_tasks(threads_, s.heads * blocks, [&](std::int64_t task) {
    const std::int64_t h = task / blocks;
    const std::int64_t begin = task % blocks * query_block;
    const std::int64_t end = std::min(s.queries, begin + query_block);
    const float* head_k = packed_k.data<float>() + h * s.padded_keys() * s.width;
    const float* head_v = packed_v.data<float>() + h * s.padded_keys() * s.padded_width();
    std::vector<float> sums(static_cast<std::size_t>(query_block * s.padded_width()));
    std::vector<float> logits(static_cast<std::size_t>(tile_rows * key_block));
    std::vector<Row> rows(static_cast<std::size_t>(query_block));
    for (std::int64_t key = 0; key < s.keys; key += key_block) {
      const std::int64_t count = std::min(key_block, s.keys - key);
      const std::int64_t padded = round_up(count, Sizes::tile_cols_keys);
      for (std::int64_t i = begin; i < end; i += tile_rows) {
        const std::int64_t group = std::min<std::int64_t>(tile_rows, end - i);
        const float* inputs[tile_rows];
        for (std::int64_t r = 0; r < group; ++r) {
          inputs[r] = q.data<float>() + ((i + r) * s.heads + h) * s.width;
        }
        for (std::int64_t j = 0; j < padded; j += tile_cols) {
          multiply_tile(group, tile_cols, inputs, 1, s.width, head_k + (key + j) * s.width,
                        tile_cols, logits.data() + j, key_block, Tile::start);
        }
        float* sum = sums.data() + (i - begin) * s.padded_width();
        for (std::int64_t r = 0; r < group; ++r) {
          float* row = logits.data() + r * key_block;
          const float* bias = args.bias.defined() ? args.bias.data<float>() + h * positions +
                                                        (key - (i + r) + s.queries - 1)
                                                  : nullptr;
          const float block_max = scale_logits(row, count, padded, args.scale, bias,
                                               key + count == s.keys ? args.last_key_logit : 0.F);
          const float factor =
              soften(row, padded, block_max, rows[static_cast<std::size_t>(i - begin + r)]);
          float* scaled = sum + r * s.padded_width();
          for (std::int64_t j = 0; j < s.padded_width(); ++j) scaled[j] *= factor;
          inputs[r] = row;
        }
        for (std::int64_t j = 0; j < s.padded_width(); j += tile_cols) {
          multiply_tile(group, std::min(tile_cols, s.padded_width() - j), inputs, 1, count,
                        head_v + key * s.padded_width() + j, s.padded_width(), sum + j,
                        s.padded_width(), Tile::add);
        }
      }
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const Row& row = rows[static_cast<std::size_t>(i - begin)];
      const float* sum = sums.data() + (i - begin) * s.padded_width();
      float* to = out.data<float>() + (i * s.heads + h) * s.width;
      const float total = row.sum == 0 ? 1.F : row.sum;  // all keys masked: zeros
      for (std::int64_t j = 0; j < s.width; ++j) to[j] = sum[j] / total;
      if (args.lse.defined())
        args.lse.data<float>()[h * s.queries + i] =
            row.max + static_cast<float>(std::log(static_cast<double>(row.sum)));
    }
  });
}

}  // namespace weft::cpu
