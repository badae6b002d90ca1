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

/// One head's keys as tiles [panel][width][tile_cols] and values as [key][padded width].
void pack_keys(const Sizes& s, const float* k, float* to) {
  const std::int64_t stride = s.heads * s.width;
  for (std::int64_t first = 0; first < s.padded_keys(); first += tile_cols) {
    for (std::int64_t j = 0; j < tile_cols; ++j) {
      const bool real = first + j < s.keys;
      const float* row = k + (first + j) * stride;
      for (std::int64_t i = 0; i < s.width; ++i) {
        to[(first * s.width) + i * tile_cols + j] = real ? row[i] : 0.F;
      }
    }
  }
}

void pack_values(const Sizes& s, const float* v, float* to) {
  for (std::int64_t j = 0; j < s.padded_keys(); ++j) {
    float* row = to + j * s.padded_width();
    const std::int64_t real = j < s.keys ? s.width : 0;
    std::copy_n(v + j * s.heads * s.width, real, row);
    std::fill(row + real, row + s.padded_width(), 0.F);
  }
}

// The running softmax of one query.
struct Row {
  float max = minus_infinity;
  float sum = 0;
};

/// Turns `logits` into exp(logit - max), returns the factor that earlier sums must be scaled by.
float soften(float* logits, std::int64_t count, std::int64_t padded, Row& row) {
  float block_max = minus_infinity;
  for (std::int64_t j = 0; j < count; ++j) block_max = std::max(block_max, logits[j]);
  const float new_max = std::max(row.max, block_max);
  // All keys so far masked: any finite reference gives weights exp(-inf) = 0.
  const float reference = new_max == minus_infinity ? 0.F : new_max;
  const float factor = row.max == minus_infinity ? 0.F : std::exp(row.max - reference);
  float sum = 0;
  for (std::int64_t j = 0; j < count; ++j) {
    logits[j] = std::exp(logits[j] - reference);
    sum += logits[j];
  }
  std::fill(logits + count, logits + padded, 0.F);
  row.sum = row.sum * factor + sum;
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
  WEFT_ASSERT(!args.bias.defined() || args.bias.shape() == Shape({s.heads, s.queries, s.keys}),
              "attention: bias {}", args.bias.shape().str());
  WEFT_ASSERT(!args.lse.defined() || args.lse.shape() == Shape({s.heads, s.queries}),
              "attention: lse {}", args.lse.shape().str());
  const Tensor packed_k = Tensor::empty({s.heads, s.padded_keys(), s.width});
  const Tensor packed_v = Tensor::empty({s.heads, s.padded_keys(), s.padded_width()});
  for_tasks(threads_, s.heads, [&](std::int64_t h) {
    pack_keys(s, k.data<float>() + h * s.width,
              packed_k.data<float>() + h * s.padded_keys() * s.width);
    pack_values(s, v.data<float>() + h * s.width,
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
      const std::int64_t padded = round_up(count, tile_cols);
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
          for (std::int64_t j = 0; j < count; ++j) row[j] *= args.scale;
          if (args.bias.defined()) {
            const float* bias = args.bias.data<float>() + (h * s.queries + i + r) * s.keys + key;
            for (std::int64_t j = 0; j < count; ++j) row[j] += bias[j];
          }
          if (key + count == s.keys) row[count - 1] += args.last_key_logit;
          const float factor =
              soften(row, count, padded, rows[static_cast<std::size_t>(i - begin + r)]);
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
      for (std::int64_t j = 0; j < s.width; ++j) to[j] = sum[j] / row.sum;
      if (args.lse.defined())
        args.lse.data<float>()[h * s.queries + i] = row.max + std::log(row.sum);
    }
  });
}

}  // namespace weft::cpu
