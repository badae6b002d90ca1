#pragma once
// The guided velocity of one window: both branches of classifier-free guidance and the given first
// frame of image-to-video. Knows nothing of ranks.

#include <array>
#include <map>
#include <optional>

#include "weft/diffusion/branches.h"
#include "weft/diffusion/guidance.h"
#include "weft/model/transformer.h"

namespace weft {

/// A transformer with the prompts prepared for it, one per scene.
struct Expert {
  const WanTransformer* transformer;
  std::vector<TextContext> cond;
  std::optional<TextContext> uncond;  // absent: no classifier-free guidance
  double guidance_scale = 5;
};

/// Which expert works at a timestep (spec 5, "Loop"): 0, or 1 below `boundary` when there are two.
inline int expert_at(double timestep, int experts, double boundary) {
  return experts == 2 && timestep < boundary ? 1 : 0;
}

/// Latent frame 0 of a window: noise like the others, or given (the clean image of image-to-video),
/// in which case its tokens have timestep 0 (spec 4.5).
enum class FirstFrame : std::uint8_t { noise, given };

class Denoiser {
 public:
  explicit Denoiser(Expert expert) : expert_(std::move(expert)) {}

  /// Guided velocity [C, T, H, W] of a window's latents [C, T, H, W] that shows `scene`.
  /// `attention` and `branches` say what of it is computed here.
  Tensor velocity(Ops& ops, const Tensor& latents, double timestep, std::size_t scene,
                  FirstFrame first_frame, SelfAttention& attention, BranchShare& branches);

 private:
  Expert expert_;
  std::map<std::array<std::int64_t, 5>, RopeTable> rope_;  // by (frames, rows, cols, tokens)
};

}  // namespace weft
