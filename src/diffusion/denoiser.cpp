// Receives a window's latents from the step loop, hands back its guided velocity.
#include "weft/diffusion/denoiser.h"

namespace weft {

Tensor Denoiser::velocity(Ops& ops, const Tensor& latents, double timestep, std::size_t scene,
                          FirstFrame first_frame, SelfAttention& attention, BranchShare& branches) {
  const WanTransformer& net = *expert_.transformer;
  const std::int64_t frames = latents.dim(1), rows = latents.dim(2), cols = latents.dim(3);
  const TokenRange mine = attention.range(frames * (rows / 2) * (cols / 2));
  const std::array<std::int64_t, 5> key{frames, rows, cols, mine.begin, mine.end};
  auto rope = rope_.find(key);
  if (rope == rope_.end()) {
    rope = rope_.emplace(key, net.rope(frames, rows, cols, mine, ops.device())).first;
  }
  Timestep t{.value = timestep, .first_frame = {}};
  if (first_frame == FirstFrame::given) t.first_frame = 0.0;
  const auto forward = [&](const TextContext& text) {
    return net.forward(ops, latents, t, text, rope->second, attention);
  };

  const TextContext& cond_text = expert_.cond.at(scene);
  if (!expert_.uncond) return forward(cond_text);
  const bool conditional = branches.computes(Branch::cond);
  const bool both = conditional && branches.computes(Branch::uncond);
  const Tensor mine_first = forward(conditional ? cond_text : *expert_.uncond);
  const Tensor other = both ? forward(*expert_.uncond) : branches.exchange(ops, mine_first);
  const Tensor& cond = conditional ? mine_first : other;
  const Tensor& uncond = conditional ? other : mine_first;
  const Tensor guided = Tensor::empty(cond.shape(), DType::f32, ops.device());
  guide(ops, cond, uncond, expert_.guidance_scale, guided);
  return guided;
}

}  // namespace weft
