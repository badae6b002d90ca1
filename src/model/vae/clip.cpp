#include <algorithm>

#include "weft/model/vae.h"

namespace weft {

Tensor latent_frames(const Tensor& z, std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = z.dim(0);
  const std::int64_t frames = z.dim(1);
  const std::int64_t count = end - begin;
  Tensor part = Tensor::empty(z.shape().with(1, count), z.dtype(), z.device());
  const Tensor from = z.reshape({channels * frames, z.dim(2), z.dim(3)});
  const Tensor to = part.reshape({channels * count, z.dim(2), z.dim(3)});
  for (std::int64_t c = 0; c < channels; ++c) {
    copy(from.slice(c * frames + begin, c * frames + end), to.slice(c * count, (c + 1) * count));
  }
  return part;
}

Tensor decode_clip(Ops& ops, const VaeDecoder& decoder, const Tensor& z,
                   std::int64_t frames_per_chunk) {
  WEFT_ASSERT(frames_per_chunk > 0, "{} latent frames per chunk", frames_per_chunk);
  const std::int64_t latents = z.dim(1);
  LocalHistory history;
  const Tensor first = decoder.decode(ops, latent_frames(z, 0, 1), ChunkPosition::first, history);
  if (latents == 1) return first;
  Tensor clip;
  std::int64_t done = 1;  // frames of the clip
  for (std::int64_t t = 1; t < latents; t += frames_per_chunk) {
    const std::int64_t end = std::min(t + frames_per_chunk, latents);
    const Tensor part =
        decoder.decode(ops, latent_frames(z, t, end), ChunkPosition::later, history);
    if (!clip.defined()) {
      const std::int64_t growth = part.dim(0) / (end - t);
      clip =
          Tensor::empty(part.shape().with(0, 1 + growth * (latents - 1)), DType::f32, ops.device());
      copy(first, clip.slice(0, 1));
    }
    copy(part, clip.slice(done, done + part.dim(0)));
    done += part.dim(0);
  }
  return clip;
}

Posterior encode_clip(Ops& ops, const VaeEncoder& encoder, const VaeConfig& config,
                      const Tensor& x) {
  WEFT_ASSERT(x.dim(0) > 0, "a clip without frames");
  const std::int64_t later = (x.dim(0) - 1) / config.time_factor;  // chunks after the first
  LocalHistory history;
  const Tensor first = encoder.encode(ops, x.slice(0, 1), ChunkPosition::first, history);
  const Tensor all = Tensor::empty(first.shape().with(0, 1 + later), DType::f32, ops.device());
  copy(first, all.slice(0, 1));
  for (std::int64_t t = 0; t < later; ++t) {
    const std::int64_t begin = 1 + t * config.time_factor;
    const Tensor frames = x.slice(begin, begin + config.time_factor);
    copy(encoder.encode(ops, frames, ChunkPosition::later, history), all.slice(t + 1, t + 2));
  }
  const auto channels = static_cast<std::size_t>(2 * config.z_dim);
  const Tensor parameters = Tensor::empty({2 * config.z_dim, all.dim(0), all.dim(1), all.dim(2)},
                                          DType::f32, ops.device());
  ops.video_to_latents(all, std::vector<float>(channels, 1), std::vector<float>(channels, 0),
                       parameters);
  return {parameters.slice(0, config.z_dim), parameters.slice(config.z_dim, 2 * config.z_dim)};
}

void normalise_latents(const VaeConfig& config, Tensor mean) {
  for (std::int64_t c = 0; c < config.z_dim; ++c) {
    const auto at = static_cast<std::size_t>(c);
    for (float& value : mean.slice(c, c + 1).span()) {
      value = (value - config.latents_mean[at]) / config.latents_std[at];
    }
  }
}

}  // namespace weft
