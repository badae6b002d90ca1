// Receives prompts, hands their embeddings to every rank.
#include "weft/base/log.h"

#include "stages.h"

namespace weft {
namespace {

Tensor encode_one(Ops& ops, const TextEncoder& encoder, const Tokenizer& tokenizer,
                  const Clip& clip, const std::string& prompt, const char* which) {
  int cut = 0;
  const auto ids = tokenizer.encode(clean_prompt(prompt, clip.cleaning),
                                    static_cast<int>(clip.text_length), &cut);
  if (cut > 0) {
    log_warn("the {} is longer than {} tokens: its last {} do not count", which, clip.text_length,
             cut);
  }
  return encoder.encode(ops, ids);
}

/// Rank 0's tensor [n, dim] to every rank; n travels first.
Tensor share(const RenderContext& context, const Tensor& mine, std::int64_t dim) {
  std::int64_t n = mine.defined() ? mine.dim(0) : 0;
  context.comm.broadcast(std::as_writable_bytes(std::span(&n, 1)), 0);
  if (n == 0) return {};
  const Tensor host =
      mine.defined() ? mine.to(DeviceKind::cpu) : Tensor::empty({n, dim}, context.ops.activation());
  context.comm.broadcast({host.raw(), host.bytes()}, 0);
  return host.to(context.ops.device());
}

}  // namespace

PromptEmbeds encode_prompts(RenderContext& context, const ModelFolder& model, const Clip& clip) {
  PromptEmbeds made;
  if (context.comm.rank() == 0) {
    const ScopedContext doing("encoding the prompt");
    const auto encoder = [&] {
      const ScopedStage loading(context.profile, Stage::load);
      return model.load_text_encoder(context.ops);
    }();
    const ScopedStage stage(context.profile, Stage::encode_text);
    const Tokenizer tokenizer(model.path / "tokenizer");
    for (const Clip::Scene& scene : clip.scenes) {
      made.cond.push_back(
          encode_one(context.ops, encoder, tokenizer, clip, scene.prompt, "prompt"));
    }
    if (clip.guided()) {
      made.uncond = encode_one(context.ops, encoder, tokenizer, clip, clip.negative_prompt,
                               "negative prompt");
    }
  }
  // Ranks without the text encoder wait here; their own loading comes after.
  const ScopedStage stage(context.profile,
                          context.comm.rank() == 0 ? Stage::encode_text : Stage::wait);
  made.cond.resize(clip.scenes.size());
  for (Tensor& embeds : made.cond) embeds = share(context, embeds, model.text.d_model);
  made.uncond = share(context, made.uncond, model.text.d_model);
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
    const auto encoder = [&] {
      const ScopedStage loading(context.profile, Stage::load);
      return model.load_encoder(context.ops);
    }();
    const ScopedStage stage(context.profile, Stage::encode_image);
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
