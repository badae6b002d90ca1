// Receives a window's latents from the step loop, hands back its guided velocity.
#include "weft/diffusion/denoiser.h"

namespace weft {

Tensor Denoiser::velocity(Ops& ops, const Tensor& latents, double timestep, std::size_t scene,
                          FirstFrame first_frame, SelfAttention& attention) {
  const WanTransformer& net = *expert_.transformer;
  const std::array<std::int64_t, 3> extent{latents.dim(1), latents.dim(2), latents.dim(3)};
  auto rope = rope_.find(extent);
  if (rope == rope_.end()) {
    const TokenRange all{0, extent[0] * (extent[1] / 2) * (extent[2] / 2)};
    rope =
        rope_.emplace(extent, net.rope(extent[0], extent[1], extent[2], all, ops.device())).first;
  }
  Timestep t{.value = timestep, .first_frame = {}};
  if (first_frame == FirstFrame::given) t.first_frame = 0.0;

  Tensor cond = net.forward(ops, latents, t, expert_.cond.at(scene), rope->second, attention);
  if (!expert_.uncond) return cond;
  const Tensor uncond = net.forward(ops, latents, t, *expert_.uncond, rope->second, attention);
  guide(ops, cond, uncond, expert_.guidance_scale, cond);
  return cond;
}

}  // namespace weft
