#include "weft/grid/cost.h"

#include <algorithm>
#include <numeric>

#include "weft/base/error.h"

namespace weft {

double ForwardFlops::total() const {
  return self_linear + self_attention + cross_linear + cross_text + cross_attention + ffn +
         embeddings;
}

std::int64_t tokens_of(const Box& box) {
  return box.frames().size() * (box.rows().size() / 2) * (box.cols().size() / 2);
}

ForwardFlops transformer_flops(const TransformerSize& size, std::int64_t tokens,
                               std::int64_t text_tokens) {
  const auto d = static_cast<double>(size.dim);
  const auto f = static_cast<double>(size.ffn);
  const auto layers = static_cast<double>(size.layers);
  const auto n = static_cast<double>(tokens);
  const auto s = static_cast<double>(text_tokens);
  ForwardFlops flops;
  flops.self_linear = layers * 8 * n * d * d;
  flops.self_attention = layers * 4 * n * n * d;
  flops.cross_linear = layers * 4 * n * d * d;
  flops.cross_text = layers * 4 * s * d * d;
  flops.cross_attention = layers * 4 * n * s * d;
  flops.ffn = layers * 4 * n * d * f;
  flops.embeddings = 8 * n * d * static_cast<double>(size.in_channels + size.out_channels) +
                     2 * s * (static_cast<double>(size.text_dim) * d + d * d) +
                     2 * d * (static_cast<double>(size.freq_dim) + d) + 12 * d * d;
  return flops;
}

std::int64_t transformer_parameters(const TransformerSize& size) {
  const std::int64_t d = size.dim;
  const auto linear = [](std::int64_t in, std::int64_t out) { return (in + 1) * out; };
  const std::int64_t attention = 4 * linear(d, d) + 2 * d;  // q k v o, two norms
  const std::int64_t block =
      2 * attention + 2 * d + linear(d, size.ffn) + linear(size.ffn, d) + 6 * d;
  const std::int64_t time = linear(size.freq_dim, d) + linear(d, d) + linear(d, 6 * d);
  const std::int64_t text = linear(size.text_dim, d) + linear(d, d);
  const std::int64_t head = 2 * d + linear(d, 4 * size.out_channels);
  return linear(4 * size.in_channels, d) + time + text + size.layers * block + head;
}

double text_encoder_flops(const TextEncoderSize& size, std::int64_t tokens) {
  const auto n = static_cast<double>(tokens);
  const auto weights = static_cast<double>(4 * size.dim * size.inner + 3 * size.dim * size.ffn);
  return static_cast<double>(size.layers) *
         (2 * n * weights + 4 * n * n * static_cast<double>(size.inner));
}

std::int64_t text_encoder_parameters(const TextEncoderSize& size) {
  const std::int64_t layer = 4 * size.dim * size.inner + 3 * size.dim * size.ffn + 2 * size.dim +
                             size.buckets * size.heads;
  return size.vocabulary * size.dim + size.layers * layer + size.dim;
}

std::vector<RankTraffic> traffic(const TransferPlan& plan, std::int64_t channels, int ranks) {
  std::vector<RankTraffic> bytes(static_cast<std::size_t>(ranks));
  for (const Transfer& t : plan) {
    if (t.from_rank == t.to_rank) continue;
    const auto size = t.box.cells() * channels * static_cast<std::int64_t>(sizeof(float));
    bytes.at(static_cast<std::size_t>(t.from_rank)).sent += size;
    bytes.at(static_cast<std::size_t>(t.to_rank)).received += size;
  }
  return bytes;
}

}  // namespace weft
