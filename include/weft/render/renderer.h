#pragma once
// One job on one group of ranks: prompt in, frames out. Every function is collective over the
// communicator; the stages are called in order by render_clip().

#include <functional>
#include <string>
#include <vector>

#include "weft/base/stages.h"
#include "weft/comm/communicator.h"
#include "weft/ops/ops.h"
#include "weft/parallel/windows.h"
#include "weft/render/clip.h"
#include "weft/render/plan.h"

namespace weft {

/// Told on rank 0 how far a stage is.
class Progress {
 public:
  virtual ~Progress() = default;
  /// `total` units of work of `stage` lie ahead ("steps", "frames").
  virtual void begin(Stage stage, std::int64_t total, const char* unit) = 0;
  virtual void advance(std::int64_t units) = 0;
  virtual void end() = 0;
};

/// Takes finished frames on rank 0, in order. push() may block: that is the back-pressure that
/// bounds memory.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  /// frames [F, H, W, 3] u8.
  virtual void push(const Tensor& frames) = 0;
};

/// What a rank renders with.
struct RenderContext {
  const Communicator& comm;
  Ops& ops;
  Profile& profile;
  Progress& progress;
};

/// The embeddings of a job's prompts, known to every rank.
struct PromptEmbeds {
  std::vector<Tensor> cond;  // by scene, [tokens, text_dim]
  Tensor uncond;             // [tokens, text_dim]; undefined without guidance
};

/// encode_text: rank 0 loads the text encoder, encodes, frees it; everyone gets the result.
PromptEmbeds encode_prompts(RenderContext& context, const ModelFolder& model, const Clip& clip);

/// encode_image: rank 0 fits `image` to the clip and encodes it: latents [C, 1, rows, cols] on
/// every rank (normalised). Undefined without an image.
Tensor encode_first_frame(RenderContext& context, const ModelFolder& model, const Clip& clip,
                          const Image* image);

/// denoise: noise is scattered, every step each window's velocity is blended with its neighbours'.
/// Returns latents [C, window box] of exchange.mine(), on the host.
std::vector<Tensor> denoise(RenderContext& context, const ModelFolder& model, const Clip& clip,
                            const WindowExchange& exchange, const PromptEmbeds& prompts,
                            const Tensor& first_frame);

/// decode, gather (and blend, for tiles): frames reach `sink` on rank 0 in order; null elsewhere.
void decode(RenderContext& context, const ModelFolder& model, const Clip& clip,
            const RenderPlan& plan, const WindowExchange& exchange, std::vector<Tensor> latents,
            FrameSink* sink);

/// All of it.
void render_clip(RenderContext& context, const ModelFolder& model, const Clip& clip,
                 const RenderPlan& plan, const Image* image, FrameSink* sink);

}  // namespace weft
