#include "blocks.h"

namespace weft {
namespace {

using namespace vae;

/// Resnets at one size, then a downsampler (not in the last block); the second generation adds the
/// block's averaged input.
struct DownBlock {
  std::vector<ResBlock> resnets;
  std::optional<Downsampler> downsampler;
  std::int64_t skip_shrinkage = 0;  // frames per frame of the added input; 0: nothing is added

  Tensor operator()(const Chunk& chunk, Tensor x) const {
    const Tensor skip = skip_shrinkage > 0 ? x : Tensor{};
    for (const auto& resnet : resnets) x = resnet(chunk, std::move(x));
    if (downsampler) x = (*downsampler)(chunk, x);
    if (!skip.defined()) return x;
    if (downsampler) {
      chunk.ops.add_avg_down(skip, skip_shrinkage, x);
    } else {
      chunk.ops.add(x, skip);
    }
    return x;
  }
};

/// `flat_index` counts the parts of all blocks: the first generation numbers them in one list.
DownBlock make_down_block(Builder& builder, const VaeConfig& c, std::size_t i, int& flat_index) {
  const std::size_t last = c.dim_mult.size() - 1;
  const std::int64_t in = c.base_dim * (i == 0 ? 1 : c.dim_mult[i - 1]);
  const std::int64_t out = c.base_dim * c.dim_mult[i];
  const auto next_flat = [&] { return fmt::format("encoder.down_blocks.{}", flat_index++); };
  const std::string name = fmt::format("encoder.down_blocks.{}", i);

  DownBlock block;
  for (std::int64_t j = 0; j < c.num_res_blocks; ++j) {
    block.resnets.emplace_back(builder,
                               c.is_residual ? fmt::format("{}.resnets.{}", name, j) : next_flat(),
                               j == 0 ? in : out, out);
  }
  const bool in_time = i < last && c.temporal_downsample[i];
  if (i < last) {
    block.downsampler.emplace(builder, c.is_residual ? name + ".downsampler" : next_flat(),
                              in_time ? Resampling::space_and_time : Resampling::space, out);
  }
  if (c.is_residual) block.skip_shrinkage = in_time ? 2 : 1;
  return block;
}

}  // namespace

struct VaeEncoder::Impl {
  VaeConfig config;
  CausalConv conv_in;
  std::vector<DownBlock> down_blocks;
  std::optional<MidBlock> mid;
  Tensor norm_out;  // [base_dim dim_mult.back()]
  std::optional<CausalConv> conv_out;
  std::optional<Conv> quant_conv;

  Impl(const VaeConfig& c, Builder& builder)
      : config(c), conv_in(builder, "encoder.conv_in", c.in_channels, c.base_dim) {
    int flat_index = 0;
    for (std::size_t i = 0; i < c.dim_mult.size(); ++i) {
      down_blocks.push_back(make_down_block(builder, c, i, flat_index));
    }
    const std::int64_t width = c.base_dim * c.dim_mult.back();
    mid.emplace(builder, "encoder.mid_block", width);
    norm_out = builder.gamma("encoder.norm_out.gamma", {width, 1, 1, 1});
    conv_out.emplace(builder, "encoder.conv_out", width, 2 * c.z_dim);
    quant_conv.emplace(builder, "quant_conv", Shape{2 * c.z_dim, 2 * c.z_dim, 1, 1, 1});
  }
};

VaeEncoder::VaeEncoder(const VaeConfig& config, WeightSource& weights) {
  weights.ignore_prefix("decoder.");
  weights.ignore_prefix("post_quant_conv.");
  Builder builder(weights, config.space_factor / config.patch);
  impl_ = std::make_unique<Impl>(config, builder);
}
VaeEncoder::~VaeEncoder() = default;
VaeEncoder::VaeEncoder(VaeEncoder&&) noexcept = default;

Tensor VaeEncoder::encode(Ops& ops, const Tensor& frames, ChunkPosition position,
                          CausalHistory& history) const {
  const VaeConfig& c = impl_->config;
  WEFT_ASSERT(frames.shape().rank() == 4 && frames.dim(3) == 3 &&
                  frames.dim(1) % c.space_factor == 0 && frames.dim(2) % c.space_factor == 0,
              "frames {}, want rows and columns in multiples of {}", frames.shape().str(),
              c.space_factor);
  WEFT_ASSERT(
      position == ChunkPosition::first ? frames.dim(0) == 1 : frames.dim(0) % c.time_factor == 0,
      "a chunk of {} frames, want 1 first, then multiples of {}", frames.dim(0), c.time_factor);
  const Chunk chunk{ops, history, position};
  Tensor x = frames;
  if (c.patch > 1) {
    x = Tensor::empty(
        {frames.dim(0), frames.dim(1) / c.patch, frames.dim(2) / c.patch, c.in_channels},
        DType::f32, ops.device());
    ops.pixel_patchify(frames, c.patch, x);
  }
  x = impl_->conv_in(chunk, x);  // from float32 pixels to activations
  for (const auto& block : impl_->down_blocks) x = block(chunk, std::move(x));
  x = (*impl_->mid)(chunk, x);
  x = impl_->conv_out->of_norm(chunk, std::move(x), impl_->norm_out, {}, ops.activation());
  return (*impl_->quant_conv)(ops, x, {}, DType::f32);  // [t, h, w, 2 z_dim]
}

}  // namespace weft
