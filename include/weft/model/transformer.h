#pragma once
// WanTransformer3DModel (spec 4): latents, a timestep and a prompt to a velocity.

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "weft/model/attention.h"
#include "weft/model/weight_source.h"
#include "weft/ops/ops.h"

namespace weft {

/// transformer/config.json; defaults are the 14B's (spec 1).
struct TransformerConfig {
  std::int64_t heads = 40, head_dim = 128, in_channels = 16, out_channels = 16;
  std::int64_t text_dim = 4096, freq_dim = 256, ffn_dim = 13824, layers = 40;
  float eps = 1e-6F;
  [[nodiscard]] std::int64_t dim() const { return heads * head_dim; }
  static TransformerConfig read(const std::filesystem::path& config_json, Problems& problems);
};

/// Cross-attention keys and values of one prompt for every layer. They do not depend on the
/// timestep, so they are made once per prompt (spec 4.2). The pad rows up to the text length are
/// equal vectors: one of them is kept and counted by `pad_logit` = ln(count) (exact, spec 4.2).
struct TextContext {
  std::vector<Tensor> keys, values;  // per layer [rows, H, d]; keys are already normalised
  float pad_logit = 0;
};

/// Rotary angles of the tokens at hand (spec 4.2), positions counted within the window.
struct RopeTable {
  Tensor cos, sin;  // [n, d/2]
};

/// The timestep of the tokens; tokens of the first latent frame may have their own (spec 4.5).
struct Timestep {
  double value = 0;
  std::optional<double> first_frame;
};

/// Where `weights` are shared out among ranks (Placement::shard), prepare_text() and forward() are
/// collective over those ranks: each makes the same calls in the same order.
class WanTransformer {
 public:
  WanTransformer(const TransformerConfig& config, WeightSource& weights);
  ~WanTransformer();
  WanTransformer(WanTransformer&&) noexcept;

  [[nodiscard]] const TransformerConfig& config() const;
  /// Bytes of the blocks' matrices that this rank holds, and the most it has held.
  [[nodiscard]] std::size_t matrix_bytes() const;
  [[nodiscard]] std::size_t peak_matrix_bytes() const;
  /// `embeds` [n, text_dim] of the n real tokens; `text_length` rows (512) reach the model.
  [[nodiscard]] TextContext prepare_text(Ops& ops, const Tensor& embeds,
                                         std::int64_t text_length) const;
  /// Tables for tokens `range` of a latent volume of frames x rows x cols (cells, not patches).
  [[nodiscard]] RopeTable rope(std::int64_t frames, std::int64_t rows, std::int64_t cols,
                               TokenRange range, DeviceKind device) const;
  /// Velocity [C_out, T, H, W] of latents z [C_in, T, H, W]; H and W even. Computes the tokens that
  /// `attention` says are at hand; `rope` is theirs.
  Tensor forward(Ops& ops, const Tensor& z, const Timestep& timestep, const TextContext& text,
                 const RopeTable& rope, SelfAttention& attention) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
