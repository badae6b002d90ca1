#include "blocks.h"

#include <cmath>

namespace weft::vae {

ResBlock::ResBlock(Builder& builder, const std::string& name, std::int64_t in, std::int64_t out)
    : norm1_(builder.gamma(name + ".norm1.gamma", {in, 1, 1, 1})),
      conv1_(builder, name + ".conv1", in, out),
      norm2_(builder.gamma(name + ".norm2.gamma", {out, 1, 1, 1})),
      conv2_(builder, name + ".conv2", out, out) {
  if (in != out) shortcut_.emplace(builder, name + ".conv_shortcut", Shape{out, in, 1, 1, 1});
}

Tensor ResBlock::operator()(const Chunk& chunk, Tensor x) const {
  const DType type = chunk.ops.activation();
  Tensor y = conv1_.of_norm(chunk, x, norm1_, {}, type);
  if (shortcut_) x = (*shortcut_)(chunk.ops, x, {}, type);
  return conv2_.of_norm(chunk, std::move(y), norm2_, x, type);
}

AttentionBlock::AttentionBlock(Builder& builder, const std::string& name, std::int64_t channels)
    : norm_(builder.gamma(name + ".norm.gamma", {channels, 1, 1})) {
  const std::int64_t c = channels;
  const Tensor qkv = builder.weight(name + ".to_qkv.weight", {3 * c, c, 1, 1});
  const Tensor bias = builder.weight(name + ".to_qkv.bias", {3 * c});
  const Tensor proj = builder.weight(name + ".proj.weight", {c, c, 1, 1});
  proj_bias_ = builder.weight(name + ".proj.bias", {c});
  if (!qkv.defined() || !bias.defined() || !proj.defined()) return;  // only checking
  for (std::size_t i = 0; i < 3; ++i) {
    const auto first = static_cast<std::int64_t>(i) * c;
    qkv_[i] = qkv.slice(first, first + c).reshape({c, c});
    qkv_bias_[i] = bias.slice(first, first + c);
  }
  proj_ = proj.reshape({c, c});
}

Tensor AttentionBlock::operator()(const Chunk& chunk, const Tensor& x) const {
  Ops& ops = chunk.ops;
  const std::int64_t c = x.dim(3);
  const std::int64_t positions = x.dim(1) * x.dim(2);
  const auto scratch = [&](std::int64_t rows) {
    return Tensor::empty({rows, c}, ops.activation(), ops.device());
  };
  const Tensor normed = scratch(positions);
  const Tensor mixed = scratch(positions);
  const Tensor all = scratch(3 * positions);  // q, k and v
  std::array<Tensor, 3> qkv;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto first = static_cast<std::int64_t>(i) * positions;
    qkv[i] = all.slice(first, first + positions);
  }
  const Shape one_head{positions, 1, c};
  Tensor y = Tensor::empty(x.shape(), ops.activation(), ops.device());
  // Frame by frame: the result cannot depend on how many frames a chunk holds.
  for (std::int64_t t = 0; t < x.dim(0); ++t) {
    const Tensor frame = x.slice(t, t + 1).reshape({positions, c});
    ops.channel_norm(frame, norm_, Activation::none, normed);
    ops.linear_group(normed, qkv_, qkv_bias_, qkv);
    ops.attention(qkv[0].reshape(one_head), qkv[1].reshape(one_head), qkv[2].reshape(one_head),
                  {.scale = 1 / std::sqrt(static_cast<float>(c))}, mixed.reshape(one_head));
    const Tensor out = y.slice(t, t + 1).reshape({positions, c});
    ops.linear(mixed, proj_, proj_bias_, out);
    ops.add(out, frame);
  }
  return y;
}

MidBlock::MidBlock(Builder& builder, const std::string& name, std::int64_t channels)
    : before_(builder, name + ".resnets.0", channels, channels),
      attention_(builder, name + ".attentions.0", channels),
      after_(builder, name + ".resnets.1", channels, channels) {}

Tensor MidBlock::operator()(const Chunk& chunk, const Tensor& x) const {
  return after_(chunk, attention_(chunk, before_(chunk, x)));
}

}  // namespace weft::vae
