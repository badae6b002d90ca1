#include "blocks.h"

namespace weft::vae {

int Builder::add_history(std::int64_t channels, bool skips_first) {
  layers_.push_back({channels, magnification_, skips_first});
  return static_cast<int>(layers_.size()) - 1;
}

Tensor Builder::gamma(const std::string& name, const Shape& stored) {
  const Tensor t = weights_.take_f32(name, stored);
  return t.defined() ? t.reshape({stored[0]}) : t;
}

CausalInput::CausalInput(const Chunk& chunk, int layer, const Shape& frames, DType type)
    : chunk_(chunk),
      layer_(layer),
      buffer_(Tensor::empty(frames.with(0, frames[0] + 2), type, chunk.ops.device())) {}

Tensor CausalInput::with_history() {
  chunk_.history.take(layer_, buffer_.slice(0, 2));
  chunk_.history.put(layer_, buffer_.slice(buffer_.dim(0) - 2, buffer_.dim(0)));
  return buffer_;
}

Conv::Conv(Builder& builder, const std::string& name, const Shape& weight_shape)
    : shape_(weight_shape),
      weight_(builder.weight(name + ".weight", weight_shape)),
      bias_(builder.weight(name + ".bias", {weight_shape[0]})) {}

Shape Conv::output_shape(const Shape& x, const ConvArgs& args) const {
  const std::int64_t kt = shape_.rank() == 5 ? shape_[2] : 1;
  return {(x[0] - kt) / args.stride_t + 1,
          (x[1] + args.pad_top + args.pad_bottom - shape_[-2]) / args.stride_h + 1,
          (x[2] + args.pad_left + args.pad_right - shape_[-1]) / args.stride_w + 1, shape_[0]};
}

Tensor Conv::operator()(Ops& ops, const Tensor& x, const ConvArgs& args, DType type) const {
  Tensor y = Tensor::empty(output_shape(x.shape(), args), type, ops.device());
  write(ops, x, args, y);
  return y;
}

void Conv::write(Ops& ops, const Tensor& x, const ConvArgs& args, Tensor y) const {
  WEFT_ASSERT(weight_.defined() && bias_.defined(), "a model built only to check its weights");
  ops.conv(x, weight_, bias_, args, std::move(y));
}

namespace {

const ConvArgs same_size{.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1};

}  // namespace

CausalConv::CausalConv(Builder& builder, const std::string& name, std::int64_t in, std::int64_t out)
    : conv_(builder, name, {out, in, 3, 3, 3}), layer_(builder.add_history(in)) {}

Tensor CausalConv::operator()(const Chunk& chunk, const Tensor& x) const {
  CausalInput input(chunk, layer_, x.shape(), x.dtype());
  copy(x, input.frames());
  return conv_(chunk.ops, input.with_history(), same_size, chunk.ops.activation());
}

Tensor CausalConv::of_norm(const Chunk& chunk, Tensor x, const Tensor& gamma,
                           const Tensor& residual, DType type) const {
  CausalInput input(chunk, layer_, x.shape(), x.dtype());
  chunk.ops.channel_norm(x, gamma, Activation::silu, input.frames());
  x = {};
  ConvArgs args = same_size;
  args.residual = residual;
  return conv_(chunk.ops, input.with_history(), args, type);
}

Upsampler::Upsampler(Builder& builder, const std::string& name, Resampling kind, std::int64_t in,
                     std::int64_t out)
    : time_conv_(kind == Resampling::space_and_time
                     ? std::optional<Conv>(std::in_place, builder, name + ".time_conv",
                                           Shape{2 * in, in, 3, 1, 1})
                     : std::nullopt),
      time_layer_(time_conv_ ? builder.add_history(in, /*skips_first=*/true) : -1),
      conv_(builder, name + ".resample.1", {out, in, 3, 3}) {
  builder.enlarge();
}

Tensor Upsampler::operator()(const Chunk& chunk, Tensor x) const {
  Ops& ops = chunk.ops;
  const DType type = ops.activation();
  // Frame 0 is neither doubled nor remembered: time_conv's stream starts at frame 1 (spec 6.3).
  if (time_conv_ && chunk.position == ChunkPosition::later) {
    CausalInput input(chunk, time_layer_, x.shape(), type);
    copy(x, input.frames());
    const Tensor pairs = (*time_conv_)(ops, input.with_history(), {}, type);  // [T, H, W, 2 C]
    x = Tensor::empty(x.shape().with(0, 2 * x.dim(0)), type, ops.device());
    ops.channels_to_frames(pairs, x);
  }
  // Frame by frame: the enlarged input is the largest activation, and is needed one at a time.
  const Tensor large = Tensor::empty({1, 2 * x.dim(1), 2 * x.dim(2), x.dim(3)}, type, ops.device());
  const Shape frame = conv_.output_shape(large.shape(), same_size);
  Tensor y = Tensor::empty(frame.with(0, x.dim(0)), type, ops.device());
  for (std::int64_t t = 0; t < x.dim(0); ++t) {
    ops.upsample2x(x.slice(t, t + 1), large);
    conv_.write(ops, large, same_size, y.slice(t, t + 1));
  }
  return y;
}

Downsampler::Downsampler(Builder& builder, const std::string& name, Resampling kind,
                         std::int64_t channels)
    : conv_(builder, name + ".resample.1", {channels, channels, 3, 3}) {
  builder.shrink();
  if (kind == Resampling::space) return;
  time_conv_.emplace(builder, name + ".time_conv", Shape{channels, channels, 3, 1, 1});
  time_layer_ = builder.add_history(channels);
}

Tensor Downsampler::operator()(const Chunk& chunk, const Tensor& x) const {
  const ConvArgs halve{.stride_h = 2, .stride_w = 2, .pad_bottom = 1, .pad_right = 1};
  const DType type = chunk.ops.activation();
  if (!time_conv_) return conv_(chunk.ops, x, halve, type);
  CausalInput input(chunk, time_layer_, conv_.output_shape(x.shape(), halve), type);
  conv_.write(chunk.ops, x, halve, input.frames());
  const Tensor all = input.with_history();
  if (chunk.position == ChunkPosition::first) return input.frames();
  // An even number of new frames: windows (2k-2, 2k-1, 2k) need only one frame before the chunk.
  return (*time_conv_)(chunk.ops, all.slice(1, all.dim(0)), {.stride_t = 2}, type);
}

}  // namespace weft::vae
