// Walks the autoencoder's layers (both generations) and adds up operations and parameters.

#include <algorithm>

#include "weft/base/error.h"
#include "weft/grid/cost.h"

namespace weft {
namespace {

struct Grid {
  std::int64_t frames, rows, cols;
  [[nodiscard]] std::int64_t positions() const { return frames * rows * cols; }
};

/// Counts layers as they are visited; the grid is that of a layer's output.
struct Walk {
  NetworkCost cost;

  void conv(std::int64_t in, std::int64_t out, std::int64_t taps, std::int64_t positions) {
    cost.flops += 2.0 * static_cast<double>(in * out * taps) * static_cast<double>(positions);
    cost.parameters += in * out * taps + out;
  }
  void norm(std::int64_t channels) { cost.parameters += channels; }

  void res_block(std::int64_t in, std::int64_t out, const Grid& g) {
    norm(in);
    conv(in, out, 27, g.positions());
    norm(out);
    conv(out, out, 27, g.positions());
    if (in != out) conv(in, out, 1, g.positions());
  }
  void attention(std::int64_t c, const Grid& g) {
    norm(c);
    conv(c, 3 * c, 1, g.positions());
    conv(c, c, 1, g.positions());
    const auto cells = static_cast<double>(g.rows * g.cols);
    cost.flops += static_cast<double>(g.frames) * 4 * cells * cells * static_cast<double>(c);
  }
  void middle(std::int64_t c, const Grid& g) {
    res_block(c, c, g);
    attention(c, g);
    res_block(c, c, g);
  }
};

Grid grid_of(const Box& latent) {
  WEFT_ASSERT(latent.frames().begin == 0, "a clip starts at frame 0: {}", latent.str());
  return {latent.frames().size(), latent.rows().size(), latent.cols().size()};
}

void check_size(const VaeSize& size) {
  WEFT_ASSERT(size.temporal_downsample.size() + 1 == size.dim_mult.size(),
              "{} entries of temporal_downsample for {} of dim_mult",
              size.temporal_downsample.size(), size.dim_mult.size());
}

}  // namespace

NetworkCost vae_decode_cost(const VaeSize& size, const Box& latent) {
  check_size(size);
  Grid g = grid_of(latent);
  Walk walk;
  const std::size_t levels = size.dim_mult.size();
  std::int64_t width = size.decoder_base_dim * size.dim_mult.back();
  walk.conv(size.z_dim, size.z_dim, 1, g.positions());
  walk.conv(size.z_dim, width, 27, g.positions());
  walk.middle(width, g);
  for (std::size_t i = 0; i < levels; ++i) {
    const std::int64_t out = size.decoder_base_dim * size.dim_mult[levels - 1 - i];
    for (std::int64_t r = 0; r <= size.num_res_blocks; ++r) {
      walk.res_block(r == 0 ? width : out, out, g);
    }
    width = out;
    if (i + 1 == levels) break;
    if (size.temporal_downsample[levels - 2 - i]) {
      // The first frame is not doubled: its output is itself.
      walk.conv(width, 2 * width, 3, (g.frames - 1) * g.rows * g.cols);
      g.frames = 1 + 2 * (g.frames - 1);
    }
    g.rows *= 2;
    g.cols *= 2;
    const std::int64_t after = size.is_residual ? width : width / 2;
    walk.conv(width, after, 9, g.positions());
    width = after;
  }
  walk.norm(width);
  walk.conv(width, size.out_channels, 27, g.positions());
  return walk.cost;
}

NetworkCost vae_encode_cost(const VaeSize& size, const Box& latent) {
  check_size(size);
  const Grid coded = grid_of(latent);
  const auto halvings =
      std::count(size.temporal_downsample.begin(), size.temporal_downsample.end(), true);
  const std::int64_t space = std::int64_t{1} << size.temporal_downsample.size();
  Grid g{1 + ((coded.frames - 1) << halvings), coded.rows * space, coded.cols * space};
  Walk walk;
  std::int64_t width = size.base_dim;
  walk.conv(size.in_channels, width, 27, g.positions());
  for (std::size_t i = 0; i < size.dim_mult.size(); ++i) {
    const std::int64_t out = size.base_dim * size.dim_mult[i];
    for (std::int64_t r = 0; r < size.num_res_blocks; ++r) {
      walk.res_block(r == 0 ? width : out, out, g);
    }
    width = out;
    if (i + 1 == size.dim_mult.size()) break;
    g.rows /= 2;
    g.cols /= 2;
    walk.conv(width, width, 9, g.positions());
    if (size.temporal_downsample[i]) {
      const std::int64_t later = (g.frames - 1) / 2;  // outputs; the first frame passes through
      walk.conv(width, width, 3, later * g.rows * g.cols);
      g.frames = 1 + later;
    }
  }
  walk.middle(width, g);
  walk.norm(width);
  walk.conv(width, 2 * size.z_dim, 27, g.positions());
  walk.conv(2 * size.z_dim, 2 * size.z_dim, 1, g.positions());
  return walk.cost;
}

}  // namespace weft
