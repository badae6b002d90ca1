// Receives latents and a prepared prompt from the sampler, hands back a velocity.
#include "weft/model/transformer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "rope.h"

namespace weft {
namespace {

struct Linear {
  Tensor weight, bias;  // [out, in], [out]
};

struct SelfWeights {
  std::vector<Tensor> weights, biases;  // of q, k, v: [D, D], [D]
  Linear out;
  Tensor norm_q, norm_k;  // [D]
};

struct CrossWeights {
  Linear q, k, v, out;
  Tensor norm_q, norm_k;  // [D]
};

/// A stored table [1, n, D] as [n, R, D] for R = 1 and 2 timesteps. Rows that scale hold 1 + scale,
/// the factor that a norm takes (spec 4.3).
struct Modulation {
  std::array<Tensor, 2> by_timesteps;
};

struct Block {
  SelfWeights self;
  CrossWeights cross;
  TokenRows norm2_weight, norm2_bias;  // [1, D], before cross-attention
  Linear ff_in, ff_out;
  Modulation modulation;  // n = 6
};

Linear take_linear(WeightSource& weights, const std::string& name, std::int64_t out,
                   std::int64_t in) {
  return {weights.take(name + ".weight", {out, in}), weights.take(name + ".bias", {out})};
}

/// The time embedding stays float32 in every precision (spec 4.2).
Linear take_linear_f32(WeightSource& weights, const std::string& name, std::int64_t out,
                       std::int64_t in) {
  return {weights.take_f32(name + ".weight", {out, in}), weights.take_f32(name + ".bias", {out})};
}

void allow_fp8(const Tensor& weight) {
  if (weight.defined()) weight.storage()->reducible = true;
}

SelfWeights take_self_attention(WeightSource& weights, const std::string& name, std::int64_t dim) {
  const auto names = [&](const char* what) {
    return std::array{name + ".to_q." + what, name + ".to_k." + what, name + ".to_v." + what};
  };
  return {weights.take_group(names("weight"), {dim, dim}), weights.take_group(names("bias"), {dim}),
          take_linear(weights, name + ".to_out.0", dim, dim),
          weights.take_f32(name + ".norm_q.weight", {dim}),
          weights.take_f32(name + ".norm_k.weight", {dim})};
}

CrossWeights take_cross_attention(WeightSource& weights, const std::string& name,
                                  std::int64_t dim) {
  return {take_linear(weights, name + ".to_q", dim, dim),
          take_linear(weights, name + ".to_k", dim, dim),
          take_linear(weights, name + ".to_v", dim, dim),
          take_linear(weights, name + ".to_out.0", dim, dim),
          weights.take_f32(name + ".norm_q.weight", {dim}),
          weights.take_f32(name + ".norm_k.weight", {dim})};
}

Modulation take_modulation(WeightSource& weights, const std::string& name, std::int64_t n,
                           std::int64_t dim, std::initializer_list<std::int64_t> scaling_rows) {
  const Tensor stored = weights.take_f32(name, {1, n, dim});
  if (!stored.defined()) return {};
  const Tensor table = stored.to(DeviceKind::cpu).clone();
  for (const std::int64_t row : scaling_rows) {
    for (float& scale : table.reshape({n, dim}).slice(row, row + 1).span()) scale += 1;
  }
  Modulation made;
  for (std::int64_t copies = 1; copies <= 2; ++copies) {
    const Tensor rows = Tensor::empty({n, copies, dim});
    for (std::int64_t i = 0; i < n * copies; ++i) {
      std::copy_n(table.data<float>() + i / copies * dim, dim, rows.data<float>() + i * dim);
    }
    made.by_timesteps.at(static_cast<std::size_t>(copies - 1)) = rows.to(stored.device());
  }
  return made;
}

/// Parameters of a norm as the one row of every token.
TokenRows take_row(WeightSource& weights, const std::string& name, std::int64_t dim) {
  const Tensor row = weights.take_f32(name, {dim});
  return {row.defined() ? row.reshape({1, dim}) : row};
}

}  // namespace

struct WanTransformer::Impl {
  TransformerConfig config;
  Linear patch_embedding;  // [D, 4 C_in]: a 1x2x2 convolution of stride 1x2x2 is a matmul
  Linear time_1, time_2, time_proj, text_1, text_2, head;
  Modulation head_modulation;  // n = 2
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
  /// table + values [n, R, D], as one TokenRows per n.
  [[nodiscard]] std::vector<TokenRows> modulation(Ops& ops, const Modulation& table,
                                                  const Tensor& values, const Time& time) const;
  /// Shift and scale rows that every block and, last, the head apply: [6] per block, [2].
  [[nodiscard]] std::vector<std::vector<TokenRows>> modulations(Ops& ops, const Time& time) const;
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
  m.time_1 = take_linear_f32(weights, embedder + "time_embedder.linear_1", dim, config.freq_dim);
  m.time_2 = take_linear_f32(weights, embedder + "time_embedder.linear_2", dim, dim);
  m.time_proj = take_linear(weights, embedder + "time_proj", 6 * dim, dim);
  m.text_1 = take_linear(weights, embedder + "text_embedder.linear_1", dim, config.text_dim);
  m.text_2 = take_linear(weights, embedder + "text_embedder.linear_2", dim, dim);
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const std::string name = fmt::format("blocks.{}.", i);
    Block b;
    b.self = take_self_attention(weights, name + "attn1", dim);
    b.cross = take_cross_attention(weights, name + "attn2", dim);
    b.norm2_weight = take_row(weights, name + "norm2.weight", dim);
    b.norm2_bias = take_row(weights, name + "norm2.bias", dim);
    b.ff_in = take_linear(weights, name + "ffn.net.0.proj", config.ffn_dim, dim);
    b.ff_out = take_linear(weights, name + "ffn.net.2", dim, config.ffn_dim);
    // The matmuls over all video tokens; the text's are few and stay as they are.
    for (const Tensor& w : b.self.weights) allow_fp8(w);
    for (const Linear* l : {&b.self.out, &b.cross.q, &b.cross.out, &b.ff_in, &b.ff_out}) {
      allow_fp8(l->weight);
    }
    b.modulation = take_modulation(weights, name + "scale_shift_table", 6, dim, {1, 4});
    weights.ignore(name + "attn2.norm_added_q.weight");  // stored by some converters, never used
    m.blocks.push_back(std::move(b));
  }
  m.head_modulation = take_modulation(weights, "scale_shift_table", 2, dim, {1});
  m.head = take_linear(weights, "proj_out", 4 * config.out_channels, dim);
}

WanTransformer::~WanTransformer() = default;
WanTransformer::WanTransformer(WanTransformer&&) noexcept = default;
const TransformerConfig& WanTransformer::config() const { return impl_->config; }

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
  const Tensor input = angles.to(ops.device());
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

std::vector<TokenRows> WanTransformer::Impl::modulation(Ops& ops, const Modulation& table,
                                                        const Tensor& values,
                                                        const Time& time) const {
  const Tensor& stored = table.by_timesteps.at(static_cast<std::size_t>(time.rows - 1));
  const Tensor sum = Tensor::empty(stored.shape(), DType::f32, ops.device());
  ops.combine(std::array<Term, 2>{Term{1, stored}, Term{1, values}}, sum);
  std::vector<TokenRows> rows;
  for (std::int64_t i = 0; i < stored.dim(0); ++i) {
    rows.push_back({sum.slice(i, i + 1).reshape({time.rows, config.dim()}), time.split});
  }
  return rows;
}

std::vector<std::vector<TokenRows>> WanTransformer::Impl::modulations(Ops& ops,
                                                                      const Time& time) const {
  std::vector<std::vector<TokenRows>> all;
  for (const Block& b : blocks) all.push_back(modulation(ops, b.modulation, time.tproj, time));
  // The head is modulated by temb itself, not by its projection (spec 4.4).
  const Tensor twice = Tensor::empty({2, time.rows, config.dim()}, DType::f32, ops.device());
  for (std::int64_t i = 0; i < 2; ++i) copy(time.temb, twice.slice(i, i + 1));
  all.push_back(modulation(ops, head_modulation, twice, time));
  return all;
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
  auto make = [&](const Shape& shape) {
    return Tensor::empty(shape, ops.activation(), ops.device());
  };

  const Impl::Time time = m.embed_time(ops, timestep, tokens_per_frame);
  // shift, scale, gate of self-attention; shift, scale, gate of the feed-forward (spec 4.3)
  const auto mods = m.modulations(ops, time);
  Tensor patches = make({n, 4 * c.in_channels});
  ops.patchify(z, patches);
  Tensor x = make({n, dim});
  ops.linear(patches, m.patch_embedding.weight, m.patch_embedding.bias, x);

  const Tensor h = ops.linear_input(n, dim);
  const Tensor qkv = make({3, n, dim});
  const auto part = [&](std::int64_t i) { return qkv.slice(i, i + 1).reshape({n, dim}); };
  const Tensor q = part(0), k = part(1), v = part(2);
  // The feed-forward's features and the attention's output are needed at different times and share
  // their memory.
  const Tensor shared = make({n * std::max(c.ffn_dim, dim)});
  const Tensor hidden = shared.slice(0, n * c.ffn_dim).reshape({n, c.ffn_dim});
  const Tensor mixed = shared.slice(0, n * dim).reshape({n, dim});
  // What block i reads, or last the head, whose weight is not reducible.
  const auto input_of = [&](std::size_t i) { return i < m.blocks.size() ? h : mixed; };
  ops.layer_norm(x, mods[0][1], mods[0][0], c.eps, input_of(0));
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const Block& b = m.blocks[i];
    const auto& mod = mods[i];

    ops.linear_group(h, b.self.weights, b.self.biases, std::array{q, k, v});
    ops.rms_norm_rope(q, b.self.norm_q, c.eps, rope.cos, rope.sin, q);
    ops.rms_norm_rope(k, b.self.norm_k, c.eps, rope.cos, rope.sin, k);
    attention.run(ops, q.reshape(heads), k.reshape(heads), v.reshape(heads), scale,
                  mixed.reshape(heads));
    ops.linear(mixed, b.self.out.weight, b.self.out.bias, q);
    // Each residual is added together with the norm that follows it.
    ops.residual_layer_norm(x, q, mod[2], b.norm2_weight, b.norm2_bias, c.eps, h);

    ops.linear(h, b.cross.q.weight, b.cross.q.bias, q);
    ops.rms_norm(q, b.cross.norm_q, c.eps, q);
    ops.attention(q.reshape(heads), text.keys[i], text.values[i],
                  {.scale = scale, .last_key_logit = text.pad_logit}, mixed.reshape(heads));
    ops.linear(mixed, b.cross.out.weight, b.cross.out.bias, q);
    ops.residual_layer_norm(x, q, {}, mod[4], mod[3], c.eps, h);

    ops.linear(h, b.ff_in.weight, b.ff_in.bias, hidden, Activation::gelu_tanh);
    ops.linear(hidden, b.ff_out.weight, b.ff_out.bias, q);
    const auto& next = mods[i + 1];  // of the next block, or the head
    ops.residual_layer_norm(x, q, mod[5], next[1], next[0], c.eps, input_of(i + 1));
  }

  Tensor features = make({n, 4 * c.out_channels});
  ops.linear(input_of(m.blocks.size()), m.head.weight, m.head.bias, features);
  Tensor velocity = Tensor::empty({c.out_channels, frames, rows, cols}, DType::f32, ops.device());
  ops.unpatchify(features, velocity);
  return velocity;
}

}  // namespace weft
