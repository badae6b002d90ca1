#pragma once
// AutoencoderKLWan, both generations (spec 6), streamed in chunks of latent frames with a causal
// cache, so that memory does not grow with the clip's length. Activations are channels-last.

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "weft/base/error.h"
#include "weft/model/causal_history.h"
#include "weft/model/weight_source.h"
#include "weft/ops/ops.h"

namespace weft {

/// vae/config.json (spec 1); defaults are Wan 2.1's.
struct VaeConfig {
  std::int64_t base_dim = 96, decoder_base_dim = 96, z_dim = 16;
  std::vector<std::int64_t> dim_mult{1, 2, 4, 4};
  std::int64_t num_res_blocks = 2;
  std::vector<bool> temporal_downsample{false, true, true};  // encoder order
  std::vector<float> latents_mean, latents_std;              // [z_dim]
  bool is_residual = false;
  std::int64_t in_channels = 3, out_channels = 3;  // after patchify: 12 with patch 2
  std::int64_t patch = 1;
  std::int64_t time_factor = 4, space_factor = 8;

  /// Reads and checks the file; every problem goes to `problems`.
  static VaeConfig read(const std::filesystem::path& config_json, Problems& problems);
};

/// A chunk of a clip: the first one is frame 0 alone.
enum class ChunkPosition { first, later };

class VaeDecoder {
 public:
  VaeDecoder(const VaeConfig& config, WeightSource& weights);
  ~VaeDecoder();
  VaeDecoder(VaeDecoder&&) noexcept;

  /// Decodes latent frames z [z_dim, t, h, w] (normalised latents; first chunk: t = 1) into frames
  /// [F, h s, w s, 3] in about [-1, 1], not clamped; F = 1 for the first chunk, else 4 t.
  Tensor decode(Ops& ops, const Tensor& z, ChunkPosition position, CausalHistory& history) const;
  /// Causal layers, numbered 0 ... history_layers()-1 in the order they are visited; layers that
  /// the first chunk does not touch are told by skips_first().
  [[nodiscard]] int history_layers() const;
  /// Shape [2, H, W, C] of a layer's history for latents of h x w.
  [[nodiscard]] Shape history_shape(int layer, std::int64_t h, std::int64_t w) const;
  /// True when the first chunk neither takes nor puts this layer's history (upsamplers, spec 6.3).
  [[nodiscard]] bool skips_first(int layer) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class VaeEncoder {
 public:
  VaeEncoder(const VaeConfig& config, WeightSource& weights);
  ~VaeEncoder();
  VaeEncoder(VaeEncoder&&) noexcept;

  /// Encodes frames x [F, H, W, 3] in [-1, 1] (first chunk: F = 1, later: a multiple of 4) into the
  /// posterior's parameters [t, h, w, 2 z_dim]: mean then log-variance, not normalised.
  Tensor encode(Ops& ops, const Tensor& x, ChunkPosition position, CausalHistory& history) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Latent frames [begin, end) of z [C, T, h, w] as a tensor of their own [C, end - begin, h, w].
Tensor latent_frames(const Tensor& z, std::int64_t begin, std::int64_t end);
/// Whole clip through decode() chunk by chunk: [F, H, W, 3]. Chunks after the first hold
/// `frames_per_chunk` latent frames: memory grows with it, the result's bits do not change.
Tensor decode_clip(Ops& ops, const VaeDecoder& decoder, const Tensor& z,
                   std::int64_t frames_per_chunk = 1);
/// Whole clip through encode() chunk by chunk, frame 0 then fours: mean [z_dim, t, h, w] and
/// log-variance [z_dim, t, h, w], not normalised. Frames beyond 1 + 4 k are dropped.
struct Posterior {
  Tensor mean, log_variance;
};
Posterior encode_clip(Ops& ops, const VaeEncoder& encoder, const VaeConfig& config,
                      const Tensor& x);

/// (mean - latents_mean) / latents_std per channel, in place: what the transformer works on. CPU
/// tensor [z_dim, t, h, w] (spec 6.4).
void normalise_latents(const VaeConfig& config, Tensor mean);

}  // namespace weft
