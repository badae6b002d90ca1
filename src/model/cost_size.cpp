#include "weft/model/cost_size.h"

namespace weft {

TransformerSize cost_size(const TransformerConfig& c) {
  return {.dim = c.dim(),
          .ffn = c.ffn_dim,
          .layers = c.layers,
          .heads = c.heads,
          .in_channels = c.in_channels,
          .out_channels = c.out_channels,
          .text_dim = c.text_dim,
          .freq_dim = c.freq_dim};
}

TextEncoderSize cost_size(const TextConfig& c) {
  return {.dim = c.d_model,
          .inner = c.num_heads * c.d_kv,
          .ffn = c.d_ff,
          .layers = c.num_layers,
          .heads = c.num_heads,
          .vocabulary = c.vocab_size,
          .buckets = c.buckets};
}

VaeSize cost_size(const VaeConfig& c) {
  return {.base_dim = c.base_dim,
          .decoder_base_dim = c.decoder_base_dim,
          .z_dim = c.z_dim,
          .dim_mult = c.dim_mult,
          .num_res_blocks = c.num_res_blocks,
          .temporal_downsample = c.temporal_downsample,
          .is_residual = c.is_residual,
          .in_channels = c.in_channels,
          .out_channels = c.out_channels};
}

}  // namespace weft
