#include "blocks.h"

namespace weft {
namespace {

using namespace vae;

/// Resnets at one size, then an upsampler (not in the last block); the second generation adds the
/// block's enlarged input.
struct UpBlock {
  std::vector<ResBlock> resnets;
  std::optional<Upsampler> upsampler;
  std::int64_t skip_growth = 0;  // frames per frame of the added input; 0: nothing is added

  Tensor operator()(const Chunk& chunk, Tensor x) const {
    const Tensor skip = skip_growth > 0 ? x : Tensor{};
    for (const auto& resnet : resnets) x = resnet(chunk, std::move(x));
    if (upsampler) x = (*upsampler)(chunk, std::move(x));
    if (skip.defined()) {
      const bool first = chunk.position == ChunkPosition::first;
      chunk.ops.add_dup_up(skip, skip_growth, first ? skip_growth - 1 : 0, x);
    }
    return x;
  }
};

UpBlock make_up_block(Builder& builder, const VaeConfig& c, std::size_t i) {
  const std::size_t last = c.dim_mult.size() - 1;
  const std::int64_t out = c.decoder_base_dim * c.dim_mult[last - i];
  std::int64_t in = i == 0 ? out : c.decoder_base_dim * c.dim_mult[last - i + 1];
  if (i > 0 && !c.is_residual) in /= 2;  // the upsampler before has halved the width
  const std::string name = fmt::format("decoder.up_blocks.{}", i);

  UpBlock block;
  for (std::int64_t j = 0; j <= c.num_res_blocks; ++j) {
    block.resnets.emplace_back(builder, fmt::format("{}.resnets.{}", name, j), j == 0 ? in : out,
                               out);
  }
  if (i == last) return block;
  const bool in_time = c.temporal_downsample[last - 1 - i];
  const auto kind = in_time ? Resampling::space_and_time : Resampling::space;
  if (c.is_residual) {
    block.upsampler.emplace(builder, name + ".upsampler", kind, out, out);
    block.skip_growth = in_time ? 2 : 1;
  } else {
    block.upsampler.emplace(builder, name + ".upsamplers.0", kind, out, out / 2);
  }
  return block;
}

}  // namespace

struct VaeDecoder::Impl {
  VaeConfig config;
  Conv post_quant_conv;
  CausalConv conv_in;
  MidBlock mid;
  std::vector<UpBlock> up_blocks;
  Tensor norm_out;  // [decoder_base_dim dim_mult[0]]
  std::optional<CausalConv> conv_out;
  std::vector<HistoryLayer> layers;

  Impl(const VaeConfig& c, Builder& builder)
      : config(c),
        post_quant_conv(builder, "post_quant_conv", {c.z_dim, c.z_dim, 1, 1, 1}),
        conv_in(builder, "decoder.conv_in", c.z_dim, c.decoder_base_dim * c.dim_mult.back()),
        mid(builder, "decoder.mid_block", c.decoder_base_dim * c.dim_mult.back()) {
    for (std::size_t i = 0; i < c.dim_mult.size(); ++i) {
      up_blocks.push_back(make_up_block(builder, c, i));
    }
    const std::int64_t width = c.decoder_base_dim * c.dim_mult.front();
    norm_out = builder.gamma("decoder.norm_out.gamma", {width, 1, 1, 1});
    conv_out.emplace(builder, "decoder.conv_out", width, c.out_channels);
    layers = builder.layers();
  }
};

VaeDecoder::VaeDecoder(const VaeConfig& config, WeightSource& weights) {
  weights.ignore_prefix("encoder.");
  weights.ignore_prefix("quant_conv.");
  Builder builder(weights, 1);
  impl_ = std::make_unique<Impl>(config, builder);
}
VaeDecoder::~VaeDecoder() = default;
VaeDecoder::VaeDecoder(VaeDecoder&&) noexcept = default;

Tensor VaeDecoder::decode(Ops& ops, const Tensor& z, ChunkPosition position,
                          CausalHistory& history) const {
  const VaeConfig& c = impl_->config;
  WEFT_ASSERT(z.shape().rank() == 4 && z.dim(0) == c.z_dim && z.dim(1) > 0,
              "latents {} for z_dim {}", z.shape().str(), c.z_dim);
  WEFT_ASSERT(position == ChunkPosition::later || z.dim(1) == 1, "first chunk of {} latent frames",
              z.dim(1));
  const Chunk chunk{ops, history, position};
  Tensor x = Tensor::empty({z.dim(1), z.dim(2), z.dim(3), c.z_dim}, ops.activation(), ops.device());
  ops.latents_to_video(z, c.latents_std, c.latents_mean, x);
  x = impl_->post_quant_conv(ops, x, {}, ops.activation());
  x = impl_->conv_in(chunk, x);
  x = impl_->mid(chunk, x);
  for (const auto& block : impl_->up_blocks) x = block(chunk, std::move(x));
  // [F, H/p, W/p, 3 p^2]; pixels are float32 from here on.
  x = impl_->conv_out->of_norm(chunk, std::move(x), impl_->norm_out, {}, DType::f32);
  if (c.patch == 1) return x;
  Tensor frames = Tensor::empty({x.dim(0), x.dim(1) * c.patch, x.dim(2) * c.patch, 3}, DType::f32,
                                ops.device());
  ops.pixel_unpatchify(x, c.patch, frames);
  return frames;
}

int VaeDecoder::history_layers() const { return static_cast<int>(impl_->layers.size()); }

Shape VaeDecoder::history_shape(int layer, std::int64_t h, std::int64_t w) const {
  const HistoryLayer& l = impl_->layers.at(static_cast<std::size_t>(layer));
  return {2, h * l.magnification, w * l.magnification, l.channels};
}

bool VaeDecoder::skips_first(int layer) const {
  return impl_->layers.at(static_cast<std::size_t>(layer)).skips_first;
}

}  // namespace weft
