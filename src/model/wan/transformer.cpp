// Receives latents and a prepared prompt from the sampler, hands back a velocity.
#include "weft/model/transformer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "blocks.h"
#include "rope.h"

namespace weft {
struct WanTransformer::Impl {
  Impl(const TransformerConfig& config_, WeightSource& weights);
  TransformerConfig config;
  Linear patch_embedding;  // [D, 4 C_in]: a 1x2x2 convolution of stride 1x2x2 is a matmul
  TimeEmbedding time_embedding;
  Linear text_1, text_2, head;
  Modulation head_modulation;  // n = 2
  std::unique_ptr<Blocks> blocks;

  /// Shift and scale rows that every block and, last, the head apply: [6] per block, [2].
  [[nodiscard]] std::vector<std::vector<TokenRows>> modulations(Ops& ops,
                                                                const TimeValues& time) const;
};

WanTransformer::Impl::Impl(const TransformerConfig& config_, WeightSource& weights)
    : config(config_) {
  const std::int64_t dim = config.dim();
  patch_embedding = {weights.take("patch_embedding.weight", {dim, config.in_channels, 1, 2, 2}),
                     weights.take("patch_embedding.bias", {dim})};
  if (patch_embedding.weight.defined()) {
    patch_embedding.weight = patch_embedding.weight.reshape({dim, 4 * config.in_channels});
  }
  const std::string embedder = "condition_embedder.";
  time_embedding = {config, weights, embedder};
  text_1 = take_linear(weights, embedder + "text_embedder.linear_1", dim, config.text_dim);
  text_2 = take_linear(weights, embedder + "text_embedder.linear_2", dim, dim);
  blocks = std::make_unique<Blocks>(config, weights);
  head_modulation = take_modulation(weights, "scale_shift_table", 2, dim, {1});
  head = take_linear(weights, "proj_out", 4 * config.out_channels, dim);
}

WanTransformer::WanTransformer(const TransformerConfig& config, WeightSource& weights)
    : impl_(std::make_unique<Impl>(config, weights)) {}
WanTransformer::~WanTransformer() = default;
WanTransformer::WanTransformer(WanTransformer&&) noexcept = default;
const TransformerConfig& WanTransformer::config() const { return impl_->config; }
std::size_t WanTransformer::matrix_bytes() const { return impl_->blocks->matrix_bytes(); }
std::size_t WanTransformer::peak_matrix_bytes() const { return impl_->blocks->peak_matrix_bytes(); }

RopeTable WanTransformer::rope(std::int64_t frames, std::int64_t rows, std::int64_t cols,
                               TokenRange range, DeviceKind device) const {
  const RopeTable table = make_rope(impl_->config.head_dim, frames, rows / 2, cols / 2, range);
  return {table.cos.to(device), table.sin.to(device)};
}

TextContext WanTransformer::prepare_text(Ops& ops, const Tensor& embeds,
                                         std::int64_t text_length) const {
  const TransformerConfig& c = impl_->config;
  const std::int64_t n = embeds.dim(0);
  WEFT_ASSERT(n <= text_length && embeds.dim(1) == c.text_dim, "embeddings {} for {} rows of {}",
              embeds.shape().str(), text_length, c.text_dim);
  const std::int64_t pads = text_length - n;
  const std::int64_t rows = n + (pads > 0 ? 1 : 0);
  auto make = [&](const Shape& shape) {
    return Tensor::empty(shape, ops.activation(), ops.device());
  };

  Tensor padded = make({rows, c.text_dim});
  copy(embeds, padded.slice(0, n));
  if (pads > 0) fill_zero(padded.slice(n, rows));
  Tensor hidden = make({rows, c.dim()});
  Tensor text = make({rows, c.dim()});
  ops.linear(padded, impl_->text_1.weight, impl_->text_1.bias, hidden, Activation::gelu_tanh);
  ops.linear(hidden, impl_->text_2.weight, impl_->text_2.bias, text);

  TextContext context;
  context.pad_logit = pads > 0 ? static_cast<float>(std::log(static_cast<double>(pads))) : 0.0F;
  const Shape heads{rows, c.heads, c.head_dim};
  for (std::size_t i = 0; i < impl_->blocks->size(); ++i) {
    const Block block = impl_->blocks->for_text(i);
    Tensor k = make({rows, c.dim()});
    Tensor v = make({rows, c.dim()});
    ops.linear(text, block.cross.k.weight, block.cross.k.bias, k);
    ops.rms_norm(k, block.cross.norm_k, c.eps, k);
    ops.linear(text, block.cross.v.weight, block.cross.v.bias, v);
    context.keys.push_back(k.reshape(heads));
    context.values.push_back(v.reshape(heads));
  }
  return context;
}

std::vector<std::vector<TokenRows>> WanTransformer::Impl::modulations(
    Ops& ops, const TimeValues& time) const {
  std::vector<std::vector<TokenRows>> all;
  for (std::size_t i = 0; i < blocks->size(); ++i) {
    all.push_back(modulate(ops, blocks->modulation(i), time.tproj, time));
  }
  all.push_back(modulate_head(ops, head_modulation, time));
  return all;
}

Tensor WanTransformer::forward(Ops& ops, const Tensor& z, const Timestep& timestep,
                               const TextContext& text, const RopeTable& rope,
                               SelfAttention& attention) const {
  const Impl& m = *impl_;
  const TransformerConfig& c = m.config;
  const std::int64_t frames = z.dim(1), rows = z.dim(2), cols = z.dim(3);
  const std::int64_t tokens_per_frame = rows / 2 * (cols / 2);
  const std::int64_t tokens = frames * tokens_per_frame;
  const TokenRange mine = attention.range(tokens);
  const std::int64_t n = mine.size();
  const std::int64_t dim = c.dim();
  const Shape heads{n, c.heads, c.head_dim};
  const float scale = 1.0F / std::sqrt(static_cast<float>(c.head_dim));
  WEFT_ASSERT(z.dim(0) == c.in_channels && rows % 2 == 0 && cols % 2 == 0,
              "latents {} for {} channels", z.shape().str(), c.in_channels);
  auto make = [&](const Shape& shape) {
    return Tensor::empty(shape, ops.activation(), ops.device());
  };

  TimeValues time = m.time_embedding.embed(ops, timestep, tokens_per_frame);
  time.split = std::clamp<std::int64_t>(time.split - mine.begin, 0, n);
  // shift, scale, gate of self-attention; shift, scale, gate of the feed-forward (spec 4.3)
  const auto mods = m.modulations(ops, time);
  // All tokens of the window are known everywhere, and small; from here on those at hand.
  Tensor patches = make({tokens, 4 * c.in_channels});
  ops.patchify(z, patches);
  Tensor x = make({n, dim});
  ops.linear(patches.slice(mine.begin, mine.end), m.patch_embedding.weight, m.patch_embedding.bias,
             x);

  const Tensor h = ops.linear_input(n, dim);
  const bool local = attention.local();
  const Tensor q_rotated = local ? ops.attention_input(heads) : make(heads);
  const Tensor k_rotated = local ? ops.attention_input(heads) : make(heads);
  // Self-attention's q, k and v as they are projected, and the feed-forward's features with what a
  // layer adds to x (y), are needed at different times and share their memory.
  const std::int64_t inner = std::max(c.ffn_dim, dim);
  const Tensor shared = make({n * std::max(inner + dim, 3 * dim)});
  const auto part = [&](std::int64_t begin, std::int64_t width) {
    return shared.slice(n * begin, n * (begin + width)).reshape({n, width});
  };
  const Tensor q = part(0, dim), k = part(dim, dim), v = part(2 * dim, dim);
  const Tensor hidden = part(0, c.ffn_dim), y = part(inner, dim);
  // When attention gives its results, neither q as it was projected nor h is needed any more.
  const Tensor mixed = local ? h : q;
  // What block i reads, or last the head, whose weight is not reducible.
  const auto input_of = [&](std::size_t i) { return i < m.blocks->size() ? h : q; };
  ops.layer_norm(x, mods[0][1], mods[0][0], c.eps, input_of(0));
  for (std::size_t i = 0; i < m.blocks->size(); ++i) {
    const Block b = m.blocks->for_video(i);
    const auto& mod = mods[i];

    ops.linear_group(h, b.self.weights, b.self.biases, std::array{q, k, v});
    ops.rms_norm_rope(q, b.self.norm_q, c.eps, rope.cos, rope.sin, q_rotated.reshape({n, dim}));
    ops.rms_norm_rope(k, b.self.norm_k, c.eps, rope.cos, rope.sin, k_rotated.reshape({n, dim}));
    attention.run(ops, q_rotated, k_rotated, v.reshape(heads), scale, mixed.reshape(heads));
    ops.linear(mixed, b.self.out.weight, b.self.out.bias, y);
    // Each residual is added together with the norm that follows it.
    ops.residual_layer_norm(x, y, mod[2], b.norm2_weight, b.norm2_bias, c.eps, h);

    ops.linear(h, b.cross.q.weight, b.cross.q.bias, y);
    ops.rms_norm(y, b.cross.norm_q, c.eps, y);
    ops.attention(y.reshape(heads), text.keys[i], text.values[i],
                  {.scale = scale, .last_key_logit = text.pad_logit}, h.reshape(heads));
    ops.linear(h, b.cross.out.weight, b.cross.out.bias, y);
    ops.residual_layer_norm(x, y, {}, mod[4], mod[3], c.eps, h);

    ops.linear(h, b.ff_in.weight, b.ff_in.bias, hidden, Activation::gelu_tanh);
    ops.linear(hidden, b.ff_out.weight, b.ff_out.bias, y);
    const auto& next = mods[i + 1];  // of the next block, or the head
    ops.residual_layer_norm(x, y, mod[5], next[1], next[0], c.eps, input_of(i + 1));
  }

  Tensor features = make({n, 4 * c.out_channels});
  ops.linear(input_of(m.blocks->size()), m.head.weight, m.head.bias, features);
  Tensor velocity = Tensor::empty({c.out_channels, frames, rows, cols}, DType::f32, ops.device());
  ops.unpatchify(attention.gather(ops, features, tokens), velocity);
  return velocity;
}

}  // namespace weft
