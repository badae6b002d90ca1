#pragma once
// What a job costs, from plain numbers: floating-point operations (a multiply-add counts 2),
// parameters and bytes. Nothing is computed or allocated here; `weft plan` prints these figures.

#include <cstdint>
#include <span>
#include <vector>

#include "weft/grid/windows.h"

namespace weft {

/// The numbers of a transformer's config that fix its cost. Defaults: Wan 2.1 14B.
struct TransformerSize {
  std::int64_t dim = 5120, ffn = 13824, layers = 40, heads = 40;
  std::int64_t in_channels = 16, out_channels = 16, text_dim = 4096, freq_dim = 256;
};

/// Where the operations of one forward go; all in floating-point operations.
struct ForwardFlops {
  double self_linear = 0, self_attention = 0;                    // q k v o; the core
  double cross_linear = 0, cross_text = 0, cross_attention = 0;  // q o; k v of the text; the core
  double ffn = 0, embeddings = 0;
  [[nodiscard]] double total() const;
};

/// Tokens of a box of latent cells: patches of 1 x 2 x 2.
std::int64_t tokens_of(const Box& box);
/// One forward of `tokens` video tokens against `text_tokens` rows of text.
ForwardFlops transformer_flops(const TransformerSize& size, std::int64_t tokens,
                               std::int64_t text_tokens = 512);
std::int64_t transformer_parameters(const TransformerSize& size);

/// The numbers of UMT5's config; `inner` = heads x width of a head.
struct TextEncoderSize {
  std::int64_t dim = 4096, inner = 4096, ffn = 10240, layers = 24, heads = 64;
  std::int64_t vocabulary = 256384, buckets = 32;
};
double text_encoder_flops(const TextEncoderSize& size, std::int64_t tokens);
std::int64_t text_encoder_parameters(const TextEncoderSize& size);

/// The numbers of the autoencoder's config; defaults are Wan 2.1's.
struct VaeSize {
  std::int64_t base_dim = 96, decoder_base_dim = 96, z_dim = 16;
  std::vector<std::int64_t> dim_mult{1, 2, 4, 4};
  std::int64_t num_res_blocks = 2;
  std::vector<bool> temporal_downsample{false, true, true};  // encoder order
  bool is_residual = false;
  std::int64_t in_channels = 3, out_channels = 3;  // after patchify
};
struct NetworkCost {
  double flops = 0;
  std::int64_t parameters = 0;
};
/// A whole clip of `latent` [frames, rows, cols] starting at frame 0. post_quant_conv and
/// quant_conv are part of the decoder and the encoder.
NetworkCost vae_decode_cost(const VaeSize& size, const Box& latent);
NetworkCost vae_encode_cost(const VaeSize& size, const Box& latent);

/// Payload bytes that rank r sends and receives when a plan runs once (float32 cells).
struct RankTraffic {
  std::int64_t sent = 0, received = 0;
};
std::vector<RankTraffic> traffic(const TransferPlan& plan, std::int64_t channels, int ranks);

}  // namespace weft
