// Operations of one rank's share of a step, and of one piece of decoding: for the spans of a run.
#include "weft/model/cost_size.h"
#include "weft/render/plan.h"

namespace weft {

double step_flops(const WindowPlan& windows, const std::vector<int>& mine, const RenderPlan& plan,
                  const Clip& clip, const ModelFolder& model) {
  const TransformerSize size = cost_size(model.transformer);
  double flops = 0;
  for (const int w : mine) {
    const Box& box = windows.windows[static_cast<std::size_t>(w)].box;
    flops += transformer_flops(size, tokens_of(box), clip.text_length).total();
  }
  return flops * (clip.guided() ? 2 : 1) / plan.grid.group_ranks();
}

double chunk_flops(const ModelFolder& model, const Box& piece, const Range& frames) {
  const VaeSize size = cost_size(model.vae);
  const auto until = [&](std::int64_t end) {
    if (end == 0) return 0.0;
    Box box = piece;
    box.axis[0] = {0, end};
    return vae_decode_cost(size, box).flops;
  };
  return until(frames.end) - until(frames.begin);
}

}  // namespace weft
