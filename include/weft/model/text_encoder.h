#pragma once
// The UMT5 encoder (spec 3): token ids to embeddings.

#include <filesystem>
#include <memory>
#include <span>

#include "weft/model/weight_source.h"
#include "weft/ops/ops.h"

namespace weft {

/// text_encoder/config.json (spec 1).
struct TextConfig {
  std::int64_t vocab_size = 256384, d_model = 4096, d_kv = 64, d_ff = 10240;
  std::int64_t num_layers = 24, num_heads = 64;
  std::int64_t buckets = 32, max_distance = 128;  // of the relative position bias
  float eps = 1e-6F;
  std::int32_t pad_id = 0, eos_id = 1;
  static TextConfig read(const std::filesystem::path& config_json, Problems& problems);
};

class TextEncoder {
 public:
  /// `files` stay mapped: only the embedding rows that are asked for are ever read.
  TextEncoder(const TextConfig& config, std::shared_ptr<const TensorFiles> files,
              WeightSource& weights);
  ~TextEncoder();
  TextEncoder(TextEncoder&&) noexcept;

  /// Embeddings [n, d_model] of n token ids, on the weights' device, of type ops.activation().
  /// Padding is left out: masked keys weigh nothing and padded rows are discarded by the pipeline,
  /// so the result is exact.
  [[nodiscard]] Tensor encode(Ops& ops, std::span<const std::int32_t> ids) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Bucket of relative position key - query (spec 3's table for 32 buckets and distance 128,
/// generalised by the formula it comes from for other numbers).
std::int64_t relative_position_bucket(std::int64_t relative, std::int64_t buckets,
                                      std::int64_t max_distance);

}  // namespace weft
