#include "stages.h"

namespace weft {

void render_clip(RenderContext& context, const ModelFolder& model, const Clip& clip,
                 const RenderPlan& plan, const Image* image, FrameSink* sink) {
  const PromptEmbeds prompts = encode_prompts(context, model, clip);
  const Tensor first_frame = encode_first_frame(context, model, clip, image);
  const WindowExchange exchange(context.comm, plan.windows, plan.owner, clip.channels);
  std::vector<Tensor> latents = denoise(context, model, clip, exchange, prompts, first_frame);
  decode(context, model, clip, plan, exchange, std::move(latents), sink);
}

}  // namespace weft
