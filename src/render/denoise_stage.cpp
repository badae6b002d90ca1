// Receives prompt embeddings, hands this rank's windows of denoised latents to the decode stage.
#include <optional>

#include "weft/base/log.h"
#include "weft/base/rng.h"
#include "weft/diffusion/denoiser.h"
#include "weft/diffusion/solver.h"

#include "stages.h"

namespace weft {
namespace {

/// Unit noise of the whole volume [C, T, H, W]; element i depends on the seed and i alone.
Tensor draw_noise(const Clip& clip) {
  const Shape shape{clip.channels, clip.latents.frames().size(), clip.latents.rows().size(),
                    clip.latents.cols().size()};
  if (clip.noise == NoiseKind::torch)
    return Tensor::from(torch_randn(clip.seed, shape.numel()), shape);
  Tensor noise = Tensor::empty(shape);
  philox_randn(clip.seed, 0, noise.span());
  return noise;
}

/// The expert at work on this rank. Timesteps fall, so an expert that has been left is never needed
/// again: only one is held at a time.
class ExpertInUse {
 public:
  ExpertInUse(RenderContext& context, const ModelFolder& model, const Clip& clip,
              const PromptEmbeds& prompts)
      : context_(context), model_(model), clip_(clip), prompts_(prompts) {}

  Denoiser& at(double timestep) {
    const int wanted = expert_at(timestep, model_.two_experts ? 2 : 1, clip_.boundary);
    if (wanted != index_) load(wanted);
    return *denoiser_;
  }

 private:
  void load(int wanted) {
    const std::string component = wanted == 0 ? "transformer" : "transformer_2";
    const ScopedContext doing("loading " + component);
    denoiser_.reset();
    transformer_.reset();  // before the next one comes in
    {
      const ScopedStage stage(context_.profile, Stage::load);
      transformer_.emplace(model_.load_transformer(component, context_.ops));
    }
    Expert expert{.transformer = &*transformer_,
                  .cond = {},
                  .uncond = {},
                  .guidance_scale = wanted == 0 ? clip_.guidance_scale : clip_.guidance_scale_2};
    for (const Tensor& embeds : prompts_.cond) {
      expert.cond.push_back(transformer_->prepare_text(context_.ops, embeds, clip_.text_length));
    }
    if (prompts_.uncond.defined()) {
      expert.uncond = transformer_->prepare_text(context_.ops, prompts_.uncond, clip_.text_length);
    }
    denoiser_.emplace(std::move(expert));
    index_ = wanted;
  }

  RenderContext& context_;
  const ModelFolder& model_;
  const Clip& clip_;
  const PromptEmbeds& prompts_;
  int index_ = -1;
  std::optional<WanTransformer> transformer_;
  std::optional<Denoiser> denoiser_;
};

/// The part of the given first frame [C, 1, rows, cols] that lies in a window, written over the
/// window's latent frame 0.
void put_first_frame(const Tensor& first_frame, const Clip& clip, const Box& window,
                     const Tensor& latents) {
  Box frame = clip.latents;
  frame.axis[0] = {0, 1};
  Box part = window;
  part.axis[0] = {0, 1};
  unpack_box(pack_box({frame, first_frame}, part), part, {window, latents});
}

void check_finite(Ops& ops, const Tensor& latents, int window, int step) {
  if (ops.all_finite(latents)) return;
  fail(
      "window {} has a value that is not finite after step {}: the weights are damaged, or "
      "guidance-scale or flow-shift is far out of range",
      window, step + 1);
}

}  // namespace

std::vector<Tensor> denoise(RenderContext& context, const ModelFolder& model, const Clip& clip,
                            const WindowExchange& exchange, const PromptEmbeds& prompts,
                            const Tensor& first_frame) {
  const std::vector<int>& mine = exchange.mine();
  // A clip of one window stays where it is computed. Several meet on the host, where they are
  // exchanged and blended.
  const bool one_window = exchange.plan().windows.size() == 1;
  const DeviceKind home = one_window ? context.ops.device() : DeviceKind::cpu;
  const auto host_ops = home == context.ops.device() ? nullptr : make_cpu_ops(1);
  Ops& home_ops = host_ops ? *host_ops : context.ops;

  std::vector<Tensor> latents;  // [C, window box], one per window of mine, at home
  {
    const ScopedStage stage(context.profile, Stage::exchange);
    latents = exchange.scatter(context.comm.rank() == 0 ? draw_noise(clip) : Tensor());
    for (Tensor& window : latents) window = window.to(home);
  }
  const Schedule schedule =
      make_schedule(clip.sampler, clip.steps, clip.flow_shift, model.scheduler.train_steps);
  std::vector<std::unique_ptr<Solver>> solvers;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    solvers.push_back(make_solver(clip.sampler, schedule));
  }
  const auto box_of = [&](std::size_t i) -> const Box& {
    return exchange.plan().windows[static_cast<std::size_t>(mine[i])].box;
  };
  const auto has_given_frame = [&](std::size_t i) {
    return first_frame.defined() && box_of(i).frames().begin == 0;
  };

  ExpertInUse expert(context, model, clip, prompts);
  LocalAttention attention;
  context.progress.begin(Stage::denoise, clip.steps, "steps");
  for (int step = 0; step < clip.steps; ++step) {
    const double timestep = schedule.timesteps[static_cast<std::size_t>(step)];
    std::vector<Tensor> velocities;
    {
      const ScopedStage stage(context.profile, Stage::denoise);
      for (std::size_t i = 0; i < mine.size(); ++i) {
        const ScopedContext doing(fmt::format("window {}, step {}", mine[i], step + 1));
        Tensor input = latents[i];
        if (has_given_frame(i)) {
          input = latents[i].to(DeviceKind::cpu).clone();
          put_first_frame(first_frame, clip, box_of(i), input);
        }
        const auto first = has_given_frame(i) ? FirstFrame::given : FirstFrame::noise;
        velocities.push_back(expert.at(timestep)
                                 .velocity(context.ops, input.to(context.ops.device()), timestep,
                                           scene_of(clip, box_of(i).frames(), model.time_factor()),
                                           first, attention)
                                 .to(home));
      }
    }
    {
      ScopedStage stage(context.profile, Stage::exchange);
      const std::int64_t before = exchange.comm().bytes_sent();
      velocities = exchange.start(std::move(velocities)).finish(home_ops);
      stage.add_bytes(exchange.comm().bytes_sent() - before);
    }
    {
      const ScopedStage stage(context.profile, Stage::denoise);
      for (std::size_t i = 0; i < mine.size(); ++i) {
        solvers[i]->step(home_ops, step, velocities[i], latents[i]);
        check_finite(home_ops, latents[i], mine[i], step);
      }
    }
    context.progress.advance(1);
  }
  context.progress.end();

  for (std::size_t i = 0; i < mine.size(); ++i) {
    latents[i] = latents[i].to(DeviceKind::cpu);
    if (has_given_frame(i)) put_first_frame(first_frame, clip, box_of(i), latents[i]);
  }
  return latents;
}

}  // namespace weft
