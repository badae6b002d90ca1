#include "weft/base/activity.h"
#include "weft/base/log.h"
#include "weft/device/device_api.h"

#include "stages.h"

namespace weft {
namespace {

/// Notes the most GPU memory that is in use between its making and note(), or two of them.
class PeakMemory {
 public:
  explicit PeakMemory(RenderContext& context)
      : context_(context),
        api_(context.ops.device() == DeviceKind::cuda ? cuda_device_api() : nullptr) {
    if (api_ != nullptr) api_->reset_peak();
  }
  void note(Stage stage) {
    if (api_ == nullptr) return;
    context_.profile.note_device_peak(stage, static_cast<std::int64_t>(api_->memory().peak));
    api_->reset_peak();
  }

 private:
  RenderContext& context_;
  const DeviceApi* api_;
};

}  // namespace

void render_clip(RenderContext& context, const ModelFolder& model, const Clip& clip,
                 const RenderPlan& plan, const Image* image, FrameSink* sink) {
  // All ranks drop what they have loaded, or none: transformers may be shared among them.
  if (context.comm.max(context.models.differs(model) ? 1 : 0) > 0) {
    context.models.clear();
    context.prompts.embeds.clear();
  }
  context.models.use(model, [&](ModelPart part, const std::function<void()>& load) {
    const ScopedStage stage(context.profile, Stage::load);
    set_activity(Stage::load, static_cast<std::int64_t>(part));
    log_debug("load: the {}", part_name(part));
    load();
  });
  PeakMemory peak(context);
  const auto end = [&](Stage stage) {
    context.models.end_of_stage();  // or the next stage's peak would be of this one's model
    peak.note(stage);
  };
  const PromptEmbeds prompts = encode_prompts(context, model, clip);
  end(Stage::encode_text);
  const Tensor first_frame = encode_first_frame(context, model, clip, image);
  if (first_frame.defined()) end(Stage::encode_image);
  Denoised denoised = denoise(context, model, clip, plan, prompts, first_frame);
  end(Stage::denoise);
  decode(context, model, clip, plan, std::move(denoised), sink);
  end(Stage::decode);
}

}  // namespace weft
