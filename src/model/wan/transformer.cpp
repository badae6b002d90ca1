// Receives latents and a prepared prompt from the sampler, hands back a velocity.
#include "weft/model/transformer.h"

#include <cmath>

#include "rope.h"

namespace weft {
namespace {

struct Linear {
  Tensor weight, bias;  // [out, in], [out]
};

struct AttentionWeights {
  Linear q, k, v, out;
  Tensor norm_q, norm_k;  // [D]
};

struct Block {
  AttentionWeights self, cross;
  Tensor norm2_weight, norm2_bias;  // [D], before cross-attention
  Linear ff_in, ff_out;
  Tensor modulation;  // [6, 2, D]: the stored [6, D], each row twice (see Modulation)
};

Linear take_linear(WeightSource& weights, const std::string& name, std::int64_t out,
                   std::int64_t in) {
  return {weights.take(name + ".weight", {out, in}), weights.take(name + ".bias", {out})};
}

AttentionWeights take_attention(WeightSource& weights, const std::string& name, std::int64_t dim) {
  return {take_linear(weights, name + ".to_q", dim, dim),
          take_linear(weights, name + ".to_k", dim, dim),
          take_linear(weights, name + ".to_v", dim, dim),
          take_linear(weights, name + ".to_out.0", dim, dim),
          weights.take(name + ".norm_q.weight", {dim}),
          weights.take(name + ".norm_k.weight", {dim})};
}

/// [1, n, D] to [n, 2, D] with every row twice: one copy for each of at most two timesteps.
Tensor twice(const Tensor& table) {
  if (!table.defined()) return {};
  const std::int64_t rows = table.dim(1);
  const std::int64_t dim = table.dim(2);
  const Tensor source = table.reshape({rows, dim});
  Tensor out = Tensor::empty({2 * rows, dim}, DType::f32, table.device());
  for (std::int64_t r = 0; r < rows; ++r) {
    copy(source.slice(r, r + 1), out.slice(2 * r, 2 * r + 1));
    copy(source.slice(r, r + 1), out.slice(2 * r + 1, 2 * r + 2));
  }
  return out.reshape({rows, 2, dim});
}

}  // namespace

struct WanTransformer::Impl {
  TransformerConfig config;
  Linear patch_embedding;  // [D, 4 C_in]: a 1x2x2 convolution of stride 1x2x2 is a matmul
  Linear time_1, time_2, time_proj, text_1, text_2, head;
  Tensor head_modulation;  // [2, 2, D]
  std::vector<Block> blocks;

  /// Values of the modulation tables for the timesteps at hand (spec 4.2, 4.5).
  struct Time {
    Tensor temb;         // [R, D]
    Tensor tproj;        // [6, R, D]
    std::int64_t rows;   // R: 1, or 2 when the first frame has its own timestep
    std::int64_t split;  // tokens before it use row 0
  };
  [[nodiscard]] Time embed_time(Ops& ops, const Timestep& timestep,
                                std::int64_t tokens_per_frame) const;
  /// table [n, 2, D] + values [n, R, D], as one TokenRows per n.
  [[nodiscard]] std::vector<TokenRows> modulation(Ops& ops, const Tensor& table,
                                                  const Tensor& values, const Time& time) const;
};

WanTransformer::WanTransformer(const TransformerConfig& config, WeightSource& weights)
    : impl_(std::make_unique<Impl>()) {
  const std::int64_t dim = config.dim();
  Impl& m = *impl_;
  m.config = config;
  m.patch_embedding = {weights.take("patch_embedding.weight", {dim, config.in_channels, 1, 2, 2}),
                       weights.take("patch_embedding.bias", {dim})};
  if (m.patch_embedding.weight.defined()) {
    m.patch_embedding.weight = m.patch_embedding.weight.reshape({dim, 4 * config.in_channels});
  }
  const std::string embedder = "condition_embedder.";
  m.time_1 = take_linear(weights, embedder + "time_embedder.linear_1", dim, config.freq_dim);
  m.time_2 = take_linear(weights, embedder + "time_embedder.linear_2", dim, dim);
  m.time_proj = take_linear(weights, embedder + "time_proj", 6 * dim, dim);
  m.text_1 = take_linear(weights, embedder + "text_embedder.linear_1", dim, config.text_dim);
  m.text_2 = take_linear(weights, embedder + "text_embedder.linear_2", dim, dim);
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const std::string name = fmt::format("blocks.{}.", i);
    Block b;
    b.self = take_attention(weights, name + "attn1", dim);
    b.cross = take_attention(weights, name + "attn2", dim);
    b.norm2_weight = weights.take(name + "norm2.weight", {dim});
    b.norm2_bias = weights.take(name + "norm2.bias", {dim});
    b.ff_in = take_linear(weights, name + "ffn.net.0.proj", config.ffn_dim, dim);
    b.ff_out = take_linear(weights, name + "ffn.net.2", dim, config.ffn_dim);
    b.modulation = twice(weights.take(name + "scale_shift_table", {1, 6, dim}));
    weights.ignore(name + "attn2.norm_added_q.weight");  // stored by some converters, never used
    m.blocks.push_back(std::move(b));
  }
  m.head_modulation = twice(weights.take("scale_shift_table", {1, 2, dim}));
  m.head = take_linear(weights, "proj_out", 4 * config.out_channels, dim);
}

WanTransformer::~WanTransformer() = default;
WanTransformer::WanTransformer(WanTransformer&&) noexcept = default;
const TransformerConfig& WanTransformer::config() const { return impl_->config; }

RopeTable WanTransformer::rope(std::int64_t frames, std::int64_t rows, std::int64_t cols,
                               TokenRange range, DeviceKind device) const {
  RopeTable table = make_rope(impl_->config.head_dim, frames, rows / 2, cols / 2, range);
  if (device == DeviceKind::cpu) return table;
  RopeTable moved{Tensor::empty(table.cos.shape(), DType::f32, device),
                  Tensor::empty(table.sin.shape(), DType::f32, device)};
  copy(table.cos, moved.cos);
  copy(table.sin, moved.sin);
  return moved;
}

TextContext WanTransformer::prepare_text(Ops& ops, const Tensor& embeds,
                                         std::int64_t text_length) const {
  const TransformerConfig& c = impl_->config;
  const std::int64_t n = embeds.dim(0);
  WEFT_ASSERT(n <= text_length && embeds.dim(1) == c.text_dim, "embeddings {} for {} rows of {}",
              embeds.shape().str(), text_length, c.text_dim);
  const std::int64_t pads = text_length - n;
  const std::int64_t rows = n + (pads > 0 ? 1 : 0);
  auto make = [&](const Shape& shape) { return Tensor::empty(shape, DType::f32, ops.device()); };

  Tensor padded = make({rows, c.text_dim});
  copy(embeds, padded.slice(0, n));
  if (pads > 0) copy(Tensor::zeros({1, c.text_dim}), padded.slice(n, rows));
  Tensor hidden = make({rows, c.dim()});
  Tensor text = make({rows, c.dim()});
  ops.linear(padded, impl_->text_1.weight, impl_->text_1.bias, hidden, Activation::gelu_tanh);
  ops.linear(hidden, impl_->text_2.weight, impl_->text_2.bias, text);

  TextContext context;
  context.pad_logit = pads > 0 ? static_cast<float>(std::log(static_cast<double>(pads))) : 0.0F;
  const Shape heads{rows, c.heads, c.head_dim};
  for (const Block& block : impl_->blocks) {
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

WanTransformer::Impl::Time WanTransformer::Impl::embed_time(Ops& ops, const Timestep& timestep,
                                                            std::int64_t tokens_per_frame) const {
  const std::int64_t dim = config.dim();
  const std::int64_t half = config.freq_dim / 2;
  const bool own = timestep.first_frame.has_value() && *timestep.first_frame != timestep.value;
  const std::int64_t rows = own ? 2 : 1;
  Tensor angles = Tensor::empty({rows, config.freq_dim});  // [cos | sin], spec 4.2
  for (std::int64_t r = 0; r < rows; ++r) {
    const double t = own && r == 0 ? *timestep.first_frame : timestep.value;
    float* row = angles.data<float>() + r * config.freq_dim;
    for (std::int64_t i = 0; i < half; ++i) {
      const double f =
          std::exp(-std::log(10000.0) * static_cast<double>(i) / static_cast<double>(half));
      row[i] = static_cast<float>(std::cos(t * f));
      row[half + i] = static_cast<float>(std::sin(t * f));
    }
  }
  auto make = [&](const Shape& shape) { return Tensor::empty(shape, DType::f32, ops.device()); };
  Tensor input = make(angles.shape());
  copy(angles, input);
  Tensor hidden = make({rows, dim});
  Time time{make({rows, dim}), make({6, rows, dim}), rows, own ? tokens_per_frame : 0};
  ops.linear(input, time_1.weight, time_1.bias, hidden, Activation::silu);
  ops.linear(hidden, time_2.weight, time_2.bias, time.temb);
  ops.silu(time.temb, hidden);
  Tensor projected = make({rows, 6 * dim});
  ops.linear(hidden, time_proj.weight, time_proj.bias, projected);
  const Tensor flat = projected.reshape({rows * 6, dim});
  Tensor by_table = time.tproj.reshape({6 * rows, dim});
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < 6; ++i) {
      copy(flat.slice(r * 6 + i, r * 6 + i + 1), by_table.slice(i * rows + r, i * rows + r + 1));
    }
  }
  return time;
}

std::vector<TokenRows> WanTransformer::Impl::modulation(Ops& ops, const Tensor& table,
                                                        const Tensor& values,
                                                        const Time& time) const {
  const std::int64_t n = table.dim(0);
  std::vector<TokenRows> rows;
  for (std::int64_t i = 0; i < n; ++i) {
    const Tensor stored = table.slice(i, i + 1).reshape({2, config.dim()}).slice(0, time.rows);
    const Tensor value = values.slice(i, i + 1).reshape({time.rows, config.dim()});
    Tensor sum = Tensor::empty(stored.shape(), DType::f32, ops.device());
    ops.combine(std::array<Term, 2>{Term{1, stored}, Term{1, value}}, sum);
    rows.push_back({sum, time.split});
  }
  return rows;
}

Tensor WanTransformer::forward(Ops& ops, const Tensor& z, const Timestep& timestep,
                               const TextContext& text, const RopeTable& rope,
                               SelfAttention& attention) const {
  const Impl& m = *impl_;
  const TransformerConfig& c = m.config;
  const std::int64_t frames = z.dim(1), rows = z.dim(2), cols = z.dim(3);
  const std::int64_t tokens_per_frame = rows / 2 * (cols / 2);
  const std::int64_t n = frames * tokens_per_frame;
  const std::int64_t dim = c.dim();
  const Shape heads{n, c.heads, c.head_dim};
  const float scale = 1.0F / std::sqrt(static_cast<float>(c.head_dim));
  WEFT_ASSERT(z.dim(0) == c.in_channels && rows % 2 == 0 && cols % 2 == 0,
              "latents {} for {} channels", z.shape().str(), c.in_channels);
  auto make = [&](const Shape& shape) { return Tensor::empty(shape, DType::f32, ops.device()); };

  const Impl::Time time = m.embed_time(ops, timestep, tokens_per_frame);
  Tensor patches = make({n, 4 * c.in_channels});
  ops.patchify(z, patches);
  Tensor x = make({n, dim});
  ops.linear(patches, m.patch_embedding.weight, m.patch_embedding.bias, x);

  Tensor h = make({n, dim}), q = make({n, dim}), k = make({n, dim}), v = make({n, dim});
  Tensor hidden = make({n, c.ffn_dim});
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const Block& b = m.blocks[i];
    // shift, scale, gate of self-attention; shift, scale, gate of the feed-forward (spec 4.3)
    const auto mod = m.modulation(ops, b.modulation, time.tproj, time);

    ops.layer_norm_modulate(x, mod[1], mod[0], c.eps, h);
    ops.linear(h, b.self.q.weight, b.self.q.bias, q);
    ops.linear(h, b.self.k.weight, b.self.k.bias, k);
    ops.linear(h, b.self.v.weight, b.self.v.bias, v);
    ops.rms_norm_rope(q, b.self.norm_q, c.eps, rope.cos, rope.sin, q);
    ops.rms_norm_rope(k, b.self.norm_k, c.eps, rope.cos, rope.sin, k);
    attention.run(ops, q.reshape(heads), k.reshape(heads), v.reshape(heads), scale,
                  h.reshape(heads));
    ops.linear(h, b.self.out.weight, b.self.out.bias, q);
    ops.gated_residual(x, q, mod[2]);

    ops.layer_norm(x, b.norm2_weight, b.norm2_bias, c.eps, h);
    ops.linear(h, b.cross.q.weight, b.cross.q.bias, q);
    ops.rms_norm(q, b.cross.norm_q, c.eps, q);
    ops.attention(q.reshape(heads), text.keys[i], text.values[i],
                  {.scale = scale, .last_key_logit = text.pad_logit}, h.reshape(heads));
    ops.linear(h, b.cross.out.weight, b.cross.out.bias, q);
    ops.add(x, q);

    ops.layer_norm_modulate(x, mod[4], mod[3], c.eps, h);
    ops.linear(h, b.ff_in.weight, b.ff_in.bias, hidden, Activation::gelu_tanh);
    ops.linear(hidden, b.ff_out.weight, b.ff_out.bias, q);
    ops.gated_residual(x, q, mod[5]);
  }

  // The head is modulated by temb itself, not by its projection (spec 4.4).
  Tensor temb_twice = make({2 * time.rows, dim});
  copy(time.temb, temb_twice.slice(0, time.rows));
  copy(time.temb, temb_twice.slice(time.rows, 2 * time.rows));
  const auto mod =
      m.modulation(ops, m.head_modulation, temb_twice.reshape({2, time.rows, dim}), time);
  ops.layer_norm_modulate(x, mod[1], mod[0], c.eps, h);
  Tensor features = make({n, 4 * c.out_channels});
  ops.linear(h, m.head.weight, m.head.bias, features);
  Tensor velocity = make({c.out_channels, frames, rows, cols});
  ops.unpatchify(features, velocity);
  return velocity;
}

}  // namespace weft
