// Receives token ids from the tokenizer, hands embeddings to the transformer's prepare_text.
#include "weft/model/text_encoder.h"

#include <array>
#include <bit>
#include <cmath>

#include "../config_json.h"

namespace weft {

TextConfig TextConfig::read(const std::filesystem::path& config_json, Problems& problems) {
  ConfigJson json(config_json, problems);
  TextConfig c;
  c.vocab_size = json.integer("vocab_size", c.vocab_size, 1, 1 << 24);
  c.d_model = json.integer("d_model", c.d_model, 1, 1 << 16);
  c.d_kv = json.integer("d_kv", c.d_kv, 1, 1 << 12);
  c.d_ff = json.integer("d_ff", c.d_ff, 1, 1 << 18);
  c.num_layers = json.integer("num_layers", c.num_layers, 1, 1000);
  c.num_heads = json.integer("num_heads", c.num_heads, 1, 1000);
  c.buckets = json.integer("relative_attention_num_buckets", c.buckets, 4, 1024);
  c.max_distance = json.integer("relative_attention_max_distance", c.max_distance, 2, 1 << 16);
  c.eps = static_cast<float>(json.number("layer_norm_epsilon", c.eps));
  c.pad_id = static_cast<std::int32_t>(json.integer("pad_token_id", c.pad_id, 0, 1 << 24));
  c.eos_id = static_cast<std::int32_t>(json.integer("eos_token_id", c.eos_id, 0, 1 << 24));
  const std::string ff = json.text("feed_forward_proj", "gated-gelu");
  if (ff != "gated-gelu") {
    problems.add("{}: feed_forward_proj is \"{}\", weft computes \"gated-gelu\" (UMT5) only",
                 config_json.string(), ff);
  }
  return c;
}

std::int64_t relative_position_bucket(std::int64_t relative, std::int64_t buckets,
                                      std::int64_t max_distance) {
  const std::int64_t half = buckets / 2;  // per direction
  const std::int64_t base = relative > 0 ? half : 0;
  const std::int64_t distance = std::abs(relative);
  const std::int64_t exact = half / 2;
  if (distance < exact) return base + distance;
  // Logarithmic up to max_distance. A distance d is in bucket exact + k or above when
  // (d / exact)^(half - exact) >= (max / exact)^k: compared with a tolerance far below the gap
  // between whole distances, so that the table of the spec comes out on every libm.
  const double ratio = std::log(static_cast<double>(distance) / static_cast<double>(exact)) /
                       std::log(static_cast<double>(max_distance) / static_cast<double>(exact));
  const auto step = static_cast<std::int64_t>(ratio * static_cast<double>(half - exact) + 1e-9);
  return base + std::min(exact + step, half - 1);
}

struct TextEncoder::Impl {
  struct Layer {
    Tensor norm_attention, o;
    std::vector<Tensor> qkv;
    Tensor norm_ff, wo;
    std::vector<Tensor> wi;  // wi_0, wi_1
  };
  TextConfig config;
  std::shared_ptr<const TensorFiles> files;  // keeps the mapped embedding alive
  const StoredTensor* embedding = nullptr;   // [vocab_size, d_model]
  std::vector<Layer> layers;
  std::vector<Tensor> position_tables;  // by layer, [buckets, heads] on the host
  Tensor final_norm;
};

TextEncoder::TextEncoder(const TextConfig& config, std::shared_ptr<const TensorFiles> files,
                         WeightSource& weights)
    : impl_(std::make_unique<Impl>()) {
  const std::int64_t d = config.d_model;
  const std::int64_t inner = config.num_heads * config.d_kv;
  impl_->config = config;
  impl_->files = std::move(files);
  impl_->embedding =
      weights.take_stored("shared.weight", "encoder.embed_tokens.weight", {config.vocab_size, d});
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string block = fmt::format("encoder.block.{}.layer.", i);
    const std::string attention = block + "0.SelfAttention.";
    const std::string ff = block + "1.DenseReluDense.";
    Impl::Layer layer;
    layer.norm_attention = weights.take_f32(block + "0.layer_norm.weight", {d});
    layer.qkv = weights.take_group(
        std::array{attention + "q.weight", attention + "k.weight", attention + "v.weight"},
        {inner, d});
    layer.o = weights.take(attention + "o.weight", {d, inner});
    const Tensor table = weights.take_f32(attention + "relative_attention_bias.weight",
                                          {config.buckets, config.num_heads});
    impl_->position_tables.push_back(table.defined() ? table.to(DeviceKind::cpu) : table);
    layer.norm_ff = weights.take_f32(block + "1.layer_norm.weight", {d});
    layer.wi =
        weights.take_group(std::array{ff + "wi_0.weight", ff + "wi_1.weight"}, {config.d_ff, d});
    layer.wo = weights.take(ff + "wo.weight", {d, config.d_ff});
    impl_->layers.push_back(std::move(layer));
  }
  impl_->final_norm = weights.take_f32("encoder.final_layer_norm.weight", {d});
}

TextEncoder::~TextEncoder() = default;
TextEncoder::TextEncoder(TextEncoder&&) noexcept = default;

namespace {

/// Rows `ids` of a stored [V, D] table as `type` [n, D] on the CPU.
Tensor read_rows(const StoredTensor& table, std::span<const std::int32_t> ids, DType type) {
  const std::int64_t rows = table.shape[0];
  const std::int64_t width = table.shape[1];
  const std::size_t row_bytes = table.bytes / static_cast<std::size_t>(rows);
  const bool as_stored = table.dtype == "BF16" && type == DType::bf16;
  const Tensor out = Tensor::empty({static_cast<std::int64_t>(ids.size()), width},
                                   as_stored ? DType::bf16 : DType::f32);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= rows) {
      fail_input(
          "token id {} is outside the text encoder's vocabulary of {}: do tokenizer and "
          "text_encoder belong together?",
          ids[i], rows);
    }
    const StoredTensor row{
        table.dtype, {width}, table.data + static_cast<std::size_t>(ids[i]) * row_bytes, row_bytes};
    if (as_stored) {
      std::memcpy(out.raw() + i * row_bytes, row.data, row_bytes);
    } else {
      convert_to_f32(row, out.data<float>() + static_cast<std::int64_t>(i) * width);
    }
  }
  return out.as(type);
}

/// Position biases of all layers [layers, H, 2n - 1] by relative position:
/// bias[l, h, r + n - 1] = table_l[bucket(r), h]  (spec 3). One tensor, so that the device waits
/// for one copy only.
Tensor position_biases(const std::vector<Tensor>& tables, const TextConfig& config,
                       std::int64_t n) {
  const std::int64_t positions = 2 * n - 1;
  const Tensor biases = Tensor::empty({config.num_layers, config.num_heads, positions});
  float* to = biases.data<float>();
  // Neighbouring positions share a bucket: runs of it.
  std::vector<std::pair<std::int64_t, std::int64_t>> runs;  // bucket, positions
  for (std::int64_t r = 1 - n; r < n; ++r) {
    const std::int64_t b = relative_position_bucket(r, config.buckets, config.max_distance);
    if (runs.empty() || runs.back().first != b) runs.emplace_back(b, 0);
    ++runs.back().second;
  }
  for (const Tensor& table : tables) {
    for (std::int64_t h = 0; h < config.num_heads; ++h) {
      for (const auto& [b, count] : runs) {
        to = std::fill_n(to, count, table.data<float>()[b * config.num_heads + h]);
      }
    }
  }
  return biases;
}

}  // namespace

Tensor TextEncoder::encode(Ops& ops, std::span<const std::int32_t> ids) const {
  const TextConfig& c = impl_->config;
  const auto n = static_cast<std::int64_t>(ids.size());
  const std::int64_t inner = c.num_heads * c.d_kv;
  const auto make = [&](const Shape& shape) {
    return Tensor::empty(shape, ops.activation(), ops.device());
  };
  // Outputs of one linear_group lie in one tensor.
  const auto part = [&](const Tensor& whole, std::int64_t i) {
    return whole.slice(i, i + 1).reshape({whole.dim(1), whole.dim(2)});
  };

  Tensor x = read_rows(*impl_->embedding, ids, ops.activation()).to(ops.device());  // [n, d_model]
  Tensor h = make({n, c.d_model});
  const Tensor qkv = make({3, n, inner});
  const Tensor q = part(qkv, 0), k = part(qkv, 1), v = part(qkv, 2);
  const Tensor o = make({n, inner});
  const Tensor hidden = make({2, n, c.d_ff});
  const Tensor gate = part(hidden, 0), up = part(hidden, 1);
  const Shape heads{n, c.num_heads, c.d_kv};
  const Tensor biases = position_biases(impl_->position_tables, c, n).to(ops.device());
  for (std::size_t i = 0; i < impl_->layers.size(); ++i) {
    const Impl::Layer& layer = impl_->layers[i];
    const auto at = static_cast<std::int64_t>(i);
    ops.rms_norm(x, layer.norm_attention, c.eps, h);
    ops.linear_group(h, layer.qkv, {}, std::array{q, k, v});
    // No 1/sqrt(d): UMT5's initialisation absorbs it (spec 3).
    ops.attention(q.reshape(heads), k.reshape(heads), v.reshape(heads),
                  {.scale = 1, .bias = biases.slice(at, at + 1).reshape({c.num_heads, 2 * n - 1})},
                  o.reshape(heads));
    ops.linear(o, layer.o, {}, h);
    ops.add(x, h);
    ops.rms_norm(x, layer.norm_ff, c.eps, h);
    ops.linear_group(h, layer.wi, {}, std::array{gate, up});
    ops.gated_gelu(gate, up, gate);
    ops.linear(gate, layer.wo, {}, h);
    ops.add(x, h);
  }
  ops.rms_norm(x, impl_->final_norm, c.eps, h);
  return h;
}

}  // namespace weft
