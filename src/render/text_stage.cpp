// Receives prompts, hands their embeddings to every rank.
#include <algorithm>

#include "weft/base/activity.h"
#include "weft/base/log.h"
#include "weft/model/cost_size.h"

#include "stages.h"

namespace weft {
namespace {

std::string cleaned(const Clip& clip, const std::string& prompt) {
  return clean_prompt(prompt, clip.cleaning);
}

/// Embeds the texts that are not known yet. Prompts that are too long have been refused before.
void encode_unknown(RenderContext& context, const ModelFolder& model, const Clip& clip,
                    const std::vector<std::string>& texts) {
  auto& known = context.prompts.embeds;
  const auto missing = [&](const std::string& text) { return !known.contains(text); };
  if (std::ranges::none_of(texts, missing)) return;
  const TextEncoder& encoder = context.models.text_encoder();
  ScopedStage stage(context.profile, Stage::encode_text);
  const Tokenizer tokenizer(model.path / "tokenizer");
  std::vector<std::string> wanted = texts;
  wanted.insert(wanted.end(), context.prompts.upcoming.begin(), context.prompts.upcoming.end());
  for (const std::string& text : wanted) {
    if (!missing(text)) continue;
    set_activity(Stage::encode_text, static_cast<std::int64_t>(known.size()));
    log_debug("encode_text: \"{}\"", text);
    const auto ids = tokenizer.encode(text, static_cast<int>(clip.text_length));
    stage.add_flops(text_encoder_flops(cost_size(model.text), std::ssize(ids)));
    known[text] = encoder.encode(context.ops, ids).to(DeviceKind::cpu);
  }
}

/// Rank 0's tensor [n, dim] on the host to every rank's device; n travels first.
Tensor share(const RenderContext& context, const Tensor& mine, std::int64_t dim) {
  std::int64_t n = mine.defined() ? mine.dim(0) : 0;
  context.comm.broadcast(std::as_writable_bytes(std::span(&n, 1)), 0);
  if (n == 0) return {};
  const Tensor host = mine.defined() ? mine : Tensor::empty({n, dim}, context.ops.activation());
  context.comm.broadcast({host.raw(), host.bytes()}, 0);
  return host.to(context.ops.device());
}

}  // namespace

PromptEmbeds encode_prompts(RenderContext& context, const ModelFolder& model, const Clip& clip) {
  std::vector<std::string> texts;
  for (const Clip::Scene& scene : clip.scenes) texts.push_back(cleaned(clip, scene.prompt));
  if (clip.guided()) texts.push_back(cleaned(clip, clip.negative_prompt));
  std::vector<Tensor> embeds(texts.size());
  const bool first = context.comm.rank() == 0;
  if (first) {
    const ScopedContext doing("encoding the prompt");
    encode_unknown(context, model, clip, texts);
    for (std::size_t i = 0; i < texts.size(); ++i) embeds[i] = context.prompts.embeds.at(texts[i]);
    // What belongs neither to this job nor to the next ones goes.
    std::erase_if(context.prompts.embeds, [&](const auto& entry) {
      return std::ranges::find(texts, entry.first) == texts.end() &&
             std::ranges::find(context.prompts.upcoming, entry.first) ==
                 context.prompts.upcoming.end();
    });
  }
  // Ranks without the text encoder wait here; their own loading comes after.
  const ScopedStage stage(context.profile, first ? Stage::encode_text : Stage::wait);
  for (Tensor& e : embeds) e = share(context, e, model.text.d_model);
  PromptEmbeds made;
  if (clip.guided()) {
    made.uncond = embeds.back();
    embeds.pop_back();
  }
  made.cond = std::move(embeds);
  return made;
}

Tensor encode_first_frame(RenderContext& context, const ModelFolder& model, const Clip& clip,
                          const Image* image) {
  if (!clip.has_image) return {};
  const std::int64_t rows = clip.latents.rows().size();
  const std::int64_t cols = clip.latents.cols().size();
  Tensor latent = Tensor::empty({clip.channels, 1, rows, cols});
  if (context.comm.rank() == 0) {
    const ScopedContext doing("encoding the image");
    WEFT_ASSERT(image != nullptr, "the clip has an image, rank 0 does not");
    const VaeEncoder& encoder = context.models.encoder();
    ScopedStage stage(context.profile, Stage::encode_image);
    stage.add_flops(vae_encode_cost(cost_size(model.vae), whole(1, rows, cols)).flops);
    // As the pipeline does: resized straight to the clip's size, no crop; 8 bits to [-1, 1].
    const Image fitted = resize_lanczos(*image, clip.width, clip.height);
    Tensor frame = Tensor::empty({1, clip.height, clip.width, 3});
    for (std::size_t i = 0; i < fitted.rgb.size(); ++i) {
      frame.span()[i] = 2 * (static_cast<float>(fitted.rgb[i]) / 255.0F) - 1;
    }
    const Posterior posterior =
        encode_clip(context.ops, encoder, model.vae, frame.to(context.ops.device()));
    copy(posterior.mean, latent);
    normalise_latents(model.vae, latent);
  }
  const ScopedStage stage(context.profile, Stage::wait);
  context.comm.broadcast(std::as_writable_bytes(latent.span()), 0);
  return latent;
}

}  // namespace weft
