#include "workloads.h"

#include <numeric>

#include "values.h"

namespace weft::bench {
namespace {

std::string clip_text(const ClipSize& clip) {
  return fmt::format("{}x{}x{}", clip.width, clip.height, clip.frames);
}

Box box_of(const Shape& latents) { return whole(latents[1], latents[2], latents[3]); }

}  // namespace

Workload make_forward(Ops& ops, const ModelSizes& model, const ClipSize& clip,
                      std::int64_t prompt_tokens) {
  struct Forward {
    WanTransformer wan;
    Tensor z;  // [C, T, H, W]
    TextContext text;
    RopeTable rope;
  };
  const Shape shape = latent_shape(model, clip);
  const Box box = box_of(shape);
  const std::int64_t tokens = tokens_of(box);
  WeightSource weights = WeightSource::random("transformer", ops);
  WanTransformer wan(model.transformer, weights);
  const Tensor embeds = on_device(
      ops, random_values({prompt_tokens, model.transformer.text_dim}, 1), ops.activation());
  TextContext text = wan.prepare_text(ops, embeds, text_length);
  RopeTable rope = wan.rope(shape[1], shape[2], shape[3], {0, tokens}, ops.device());
  const auto state = std::make_shared<Forward>(
      Forward{std::move(wan), on_device(ops, random_values(shape, 2), DType::f32), std::move(text),
              std::move(rope)});
  const auto forward = [state, &ops] {
    LocalAttention attention;
    return state->wan.forward(ops, state->z, Timestep{875, {}}, state->text, state->rope,
                              attention);
  };
  require_finite(forward(), "the velocity");
  // Keys and values of the prompt are made once per prompt, not in a forward.
  const std::int64_t keys = state->text.keys.front().dim(0);  // the pad rows are one of them
  const ForwardFlops flops = transformer_flops(cost_size(model.transformer), tokens, keys);
  return {"forward",
          fmt::format("{}, {} tokens, prompt {}", clip_text(clip), tokens, prompt_tokens),
          flops.total() - flops.cross_text, [forward] { forward(); }};
}

Workload make_text(Ops& ops, const ModelSizes& model, std::int64_t tokens) {
  struct Text {
    WeightSource weights;  // holds the embedding table
    TextEncoder encoder;
    std::vector<std::int32_t> ids;
  };
  TextConfig config = model.text;
  // Only the rows that are asked for are ever read: a smaller table is drawn in less time.
  config.vocab_size = tokens;
  WeightSource weights = WeightSource::random("text_encoder", ops);
  TextEncoder encoder(config, nullptr, weights);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens));
  std::iota(ids.begin(), ids.end(), 0);
  const auto state =
      std::make_shared<Text>(Text{std::move(weights), std::move(encoder), std::move(ids)});
  const auto encode = [state, &ops] { return state->encoder.encode(ops, state->ids); };
  require_finite(encode(), "the embeddings");
  return {"text", fmt::format("{} tokens", tokens),
          text_encoder_flops(cost_size(model.text), tokens), [encode] { encode(); }};
}

Workload make_decode(Ops& ops, const ModelSizes& model, const ClipSize& clip,
                     std::int64_t frames_per_chunk) {
  struct Decode {
    VaeDecoder decoder;
    Tensor z;  // [C, T, h, w]
    std::vector<Range> chunks;
  };
  const Shape shape = latent_shape(model, clip);
  WeightSource weights = WeightSource::random("vae", ops);
  const auto state = std::make_shared<Decode>(
      Decode{VaeDecoder(model.vae, weights), on_device(ops, random_values(shape, 3), DType::f32),
             decode_chunks(shape[1], frames_per_chunk)});
  const auto decode = [state, &ops](const Range& chunk, LocalHistory& history) {
    const auto position = chunk.begin == 0 ? ChunkPosition::first : ChunkPosition::later;
    return state->decoder.decode(ops, latent_frames(state->z, chunk.begin, chunk.end), position,
                                 history);
  };
  LocalHistory unused;
  require_finite(decode(state->chunks.front(), unused), "the first frame");
  return {"decode", fmt::format("{}, {} a chunk", clip_text(clip), frames_per_chunk),
          vae_decode_cost(cost_size(model.vae), box_of(shape)).flops, [state, decode, &ops] {
            LocalHistory history;
            for (const Range& chunk : state->chunks) {
              const Tensor frames = decode(chunk, history);
              const Tensor pixels = Tensor::empty(frames.shape(), DType::u8, ops.device());
              ops.to_u8(frames, pixels);
              static_cast<void>(pixels.to(DeviceKind::cpu));
            }
          }};
}

}  // namespace weft::bench
