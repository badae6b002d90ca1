// Receives a model's weights, hands them block by block to the transformer.
#include "blocks.h"

namespace weft {
namespace {

std::vector<std::string> block_names(std::int64_t layers) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < layers; ++i) names.push_back(fmt::format("blocks.{}.", i));
  return names;
}

// In the order in which for_video() hands them out. All may be multiplied in fp8: they are the
// matmuls over all video tokens; the text's are few and stay as they are.
std::vector<LayerWeight> video_matrices(const TransformerConfig& c) {
  const std::int64_t dim = c.dim();
  return {{"attn1.to_q.weight", {dim, dim}, true},
          {"attn1.to_k.weight", {dim, dim}, true},
          {"attn1.to_v.weight", {dim, dim}, true},
          {"attn1.to_out.0.weight", {dim, dim}, true},
          {"attn2.to_q.weight", {dim, dim}, true},
          {"attn2.to_out.0.weight", {dim, dim}, true},
          {"ffn.net.0.proj.weight", {c.ffn_dim, dim}, true},
          {"ffn.net.2.weight", {dim, c.ffn_dim}, true}};
}

std::vector<LayerWeight> text_matrices(const TransformerConfig& c) {
  return {{"attn2.to_k.weight", {c.dim(), c.dim()}}, {"attn2.to_v.weight", {c.dim(), c.dim()}}};
}

/// Parameters of a norm as the one row of every token.
TokenRows take_row(WeightSource& weights, const std::string& name, std::int64_t dim) {
  const Tensor row = weights.take_f32(name, {dim});
  return {row.defined() ? row.reshape({1, dim}) : row};
}

Linear take_bias(WeightSource& weights, const std::string& name, std::int64_t out) {
  return {{}, weights.take(name + ".bias", {out})};
}

Block take_small(WeightSource& weights, const std::string& name, const TransformerConfig& c) {
  const std::int64_t dim = c.dim();
  const std::string self = name + "attn1.";
  const std::string cross = name + "attn2.";
  Block b;
  b.self.biases = weights.take_group(
      std::array{self + "to_q.bias", self + "to_k.bias", self + "to_v.bias"}, {dim});
  b.self.out = take_bias(weights, self + "to_out.0", dim);
  b.self.norm_q = weights.take_f32(self + "norm_q.weight", {dim});
  b.self.norm_k = weights.take_f32(self + "norm_k.weight", {dim});
  b.cross.q = take_bias(weights, cross + "to_q", dim);
  b.cross.k = take_bias(weights, cross + "to_k", dim);
  b.cross.v = take_bias(weights, cross + "to_v", dim);
  b.cross.out = take_bias(weights, cross + "to_out.0", dim);
  b.cross.norm_q = weights.take_f32(cross + "norm_q.weight", {dim});
  b.cross.norm_k = weights.take_f32(cross + "norm_k.weight", {dim});
  weights.ignore(cross + "norm_added_q.weight");  // stored by some converters, never used
  b.norm2_weight = take_row(weights, name + "norm2.weight", dim);
  b.norm2_bias = take_row(weights, name + "norm2.bias", dim);
  b.ff_in = take_bias(weights, name + "ffn.net.0.proj", c.ffn_dim);
  b.ff_out = take_bias(weights, name + "ffn.net.2", dim);
  b.modulation = take_modulation(weights, name + "scale_shift_table", 6, dim, {1, 4});
  return b;
}

}  // namespace

Blocks::Blocks(const TransformerConfig& config, WeightSource& weights)
    : video_(weights, block_names(config.layers), video_matrices(config)),
      text_(weights, block_names(config.layers), text_matrices(config)) {
  for (const std::string& name : block_names(config.layers)) {
    small_.push_back(take_small(weights, name, config));
  }
}

Block Blocks::for_video(std::size_t i) {
  const std::vector<Tensor>& w = video_.fetch(i, (i + 1) % size());
  Block b = small_[i];
  b.self.weights = {w[0], w[1], w[2]};
  b.self.out.weight = w[3];
  b.cross.q.weight = w[4];
  b.cross.out.weight = w[5];
  b.ff_in.weight = w[6];
  b.ff_out.weight = w[7];
  return b;
}

Block Blocks::for_text(std::size_t i) {
  const bool last = i + 1 == size();
  const std::vector<Tensor>& w = text_.fetch(i, last ? i : i + 1);
  Block b = small_[i];
  b.cross.k.weight = w[0];
  b.cross.v.weight = w[1];
  if (last) text_.release();  // the block's own handles keep what they show
  return b;
}

}  // namespace weft
