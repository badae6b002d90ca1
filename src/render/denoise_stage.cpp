// Receives prompt embeddings, hands denoised windows to the decode stage.
#include <algorithm>
#include <optional>

#include "weft/base/activity.h"
#include "weft/base/log.h"
#include "weft/base/rng.h"
#include "weft/diffusion/denoiser.h"
#include "weft/diffusion/solver.h"
#include "weft/parallel/team.h"
#include "weft/parallel/windows.h"

#include "denoise_state.h"
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

/// The expert at work on this rank. Timesteps fall, so an expert that has been left is not needed
/// again for this clip.
class ExpertInUse {
 public:
  ExpertInUse(RenderContext& context, const ModelFolder& model, const Clip& clip,
              const PromptEmbeds& prompts)
      : context_(context), model_(model), clip_(clip), prompts_(prompts) {}

  Denoiser& at(double timestep) {
    const int wanted = expert_at(timestep, model_.two_experts ? 2 : 1, clip_.boundary);
    if (wanted != index_) change_to(wanted);
    return *denoiser_;
  }

 private:
  void change_to(int wanted) {
    denoiser_.reset();  // before the next expert comes in
    const WanTransformer& transformer = context_.models.transformer(
        wanted == 0 ? ModelPart::transformer : ModelPart::transformer_2);
    Expert expert{.transformer = &transformer,
                  .cond = {},
                  .uncond = {},
                  .guidance_scale = wanted == 0 ? clip_.guidance_scale : clip_.guidance_scale_2};
    for (const Tensor& embeds : prompts_.cond) {
      expert.cond.push_back(transformer.prepare_text(context_.ops, embeds, clip_.text_length));
    }
    if (prompts_.uncond.defined()) {
      expert.uncond = transformer.prepare_text(context_.ops, prompts_.uncond, clip_.text_length);
    }
    denoiser_.emplace(std::move(expert));
    index_ = wanted;
  }

  RenderContext& context_;
  const ModelFolder& model_;
  const Clip& clip_;
  const PromptEmbeds& prompts_;
  int index_ = -1;
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

/// What is wrong with them, or "".
std::string finite_rule(Ops& ops, const Tensor& latents, int window, int step) {
  if (ops.all_finite(latents)) return "";
  return fmt::format(
      "window {} has a value that is not finite after step {}: the weights are damaged, or "
      "guidance-scale or flow-shift is far out of range",
      window, step + 1);
}

/// The windows of this rank's group at one step: latents and solvers, and their exchange.
struct Windows {
  StepWindows step;
  std::optional<WindowExchange> exchange;
  std::vector<Tensor> latents;  // by exchange->mine(), [C, window box], on the device
  std::vector<std::unique_ptr<Solver>> solvers;

  [[nodiscard]] const Box& box(std::size_t i) const {
    return step.windows.windows[static_cast<std::size_t>(exchange->mine()[i])].box;
  }
};

/// One clip's way through the steps on this rank.
class Denoising {
 public:
  Denoising(RenderContext& context, const ModelFolder& model, const Clip& clip,
            const RenderPlan& plan, const PromptEmbeds& prompts, const Tensor& first_frame)
      : context_(context),
        model_(model),
        clip_(clip),
        plan_(plan),
        first_frame_(first_frame.defined() ? first_frame.to(context.ops.device()) : Tensor()),
        schedule_(
            make_schedule(clip.sampler, clip.steps, clip.flow_shift, model.scheduler.train_steps)),
        team_(make_team(context.comm, context.fabric, plan.grid, model.transformer.heads)),
        expert_(context, model, clip, prompts) {}

  Denoised run() {
    int step = 0;
    const std::optional<DenoiseState> saved =
        context_.checkpoints != nullptr ? context_.checkpoints->load() : std::nullopt;
    if (saved) {
      step = saved->steps_done;
      if (context_.comm.rank() == 0) log_info("going on after step {} of {}", step, clip_.steps);
    }
    // With a shift each step has windows of its own; what is saved after a step are that step's.
    Windows windows = make_windows(std::max(0, step - 1));
    if (saved) {
      restore(*saved, windows);
    } else {
      begin(windows);
    }
    context_.progress.begin(Stage::denoise, clip_.steps, "steps");
    context_.progress.advance(step);
    for (; step < clip_.steps; ++step) {
      if (clip_.window_shift && step > 0) move_windows(windows, step);
      fail_together(do_step(windows, step));
      context_.progress.advance(1);
      keep(windows, step + 1);
    }
    context_.progress.end();
    return finish(std::move(windows));
  }

 private:
  Windows make_windows(int step) {
    Windows made;
    made.step = windows_at(clip_, model_, plan_, step);
    if (!team_.place) return made;
    made.exchange.emplace(*team_.lane, made.step.windows, made.step.owner, clip_.channels,
                          context_.ops.device());
    for (std::size_t i = 0; i < made.exchange->mine().size(); ++i) {
      made.solvers.push_back(make_solver(clip_.sampler, schedule_));
    }
    return made;
  }

  void begin(Windows& windows) {
    if (!team_.place) return;
    ScopedStage stage(context_.profile, Stage::exchange);
    const std::int64_t before = team_.lane->bytes_sent();
    // The first group's ranks draw the noise, each for its lane.
    windows.latents =
        windows.exchange->scatter(team_.place->group == 0 ? draw_noise(clip_) : Tensor());
    stage.add_bytes(team_.lane->bytes_sent() - before);
  }

  [[nodiscard]] bool has_given_frame(const Box& window) const {
    return first_frame_.defined() && window.frames().begin == 0;
  }

  /// Gives what is wrong with the result, or "".
  std::string do_step(Windows& windows, int step) {
    const double timestep = schedule_.timesteps[static_cast<std::size_t>(step)];
    Denoiser& denoiser = expert_.at(timestep);  // also without a place: all ranks read the weights
    if (!team_.place) return "";
    const std::vector<int>& mine = windows.exchange->mine();
    ScopedStage whole(context_.profile, Stage::denoise, step);
    whole.add_flops(step_flops(windows.step.windows, mine, plan_, clip_, model_));
    const std::int64_t sent_before = context_.fabric.bytes_sent();
    std::int64_t exchanged = 0;
    std::vector<Tensor> velocities;
    for (std::size_t i = 0; i < mine.size(); ++i) {
      const ScopedContext doing(fmt::format("window {}, step {}", mine[i], step + 1));
      set_activity(Stage::denoise, step + 1, mine[i]);
      log_debug("denoise: step {}, window {}", step + 1, mine[i]);
      Tensor input = windows.latents[i];
      const Box& box = windows.box(i);
      if (has_given_frame(box)) {
        input = input.clone();
        put_first_frame(first_frame_, clip_, box, input);
      }
      velocities.push_back(denoiser.velocity(
          context_.ops, input, timestep, scene_of(clip_, box.frames(), model_.time_factor()),
          has_given_frame(box) ? FirstFrame::given : FirstFrame::noise, *team_.attention,
          *team_.branches));
    }
    {
      ScopedStage stage(context_.profile, Stage::exchange, step);
      const std::int64_t before = team_.lane->bytes_sent();
      velocities = windows.exchange->start(std::move(velocities)).finish(context_.ops);
      exchanged = team_.lane->bytes_sent() - before;
      stage.add_bytes(exchanged);
    }
    // What remains went between the ranks that share a forward.
    whole.add_bytes(context_.fabric.bytes_sent() - sent_before - exchanged);
    std::string problem;
    for (std::size_t i = 0; i < mine.size(); ++i) {
      windows.solvers[i]->step(context_.ops, step, velocities[i], windows.latents[i]);
      const std::string rule = finite_rule(context_.ops, windows.latents[i], mine[i], step);
      if (problem.empty()) problem = rule;
    }
    context_.fabric.check();
    return problem;
  }

  /// A problem of one rank is the job's: all ranks throw it, or none.
  void fail_together(std::string problem) {
    if (context_.comm.max(problem.empty() ? 0 : 1) == 0) return;
    const std::vector<std::string> told = context_.comm.gather_strings(problem, 0);
    const auto first = std::ranges::find_if(told, [](const auto& text) { return !text.empty(); });
    if (first != told.end()) problem = *first;
    context_.comm.broadcast_string(problem, 0);
    throw JobFailure(problem);
  }

  /// Carries latents and what the solvers remember to the windows of `step`.
  void move_windows(Windows& windows, int step) {
    Windows next = make_windows(step);
    if (team_.place) {
      ScopedStage stage(context_.profile, Stage::exchange, step);
      const std::int64_t before = team_.lane->bytes_sent();
      next.latents = rewindow(*windows.exchange, *next.exchange, windows.latents);
      carry_solvers(*windows.exchange, windows.solvers, *next.exchange, next.solvers);
      stage.add_bytes(team_.lane->bytes_sent() - before);
    }
    windows = std::move(next);
  }

  /// Saves after `done` steps when it is time, and stops when that is asked for.
  void keep(const Windows& windows, int done) {
    if (context_.checkpoints == nullptr) return;
    const auto then = [&] {  // the ranks agree: those that are done early wait here
      const ScopedStage stage(context_.profile, Stage::wait, done - 1);
      return context_.checkpoints->after_step(done, clip_.steps);
    }();
    if (then == Checkpoints::Then::go_on) return;
    DenoiseState mine{.steps_done = done, .windows = {}};
    for (std::size_t i = 0; team_.leads() && i < windows.latents.size(); ++i) {
      mine.windows.push_back(
          save_window(windows.exchange->mine()[i], windows.latents[i], *windows.solvers[i]));
    }
    context_.checkpoints->save(std::move(mine));
    if (then == Checkpoints::Then::save_and_stop) throw Stopped();
  }

  void restore(const DenoiseState& saved, Windows& windows) {
    if (!team_.place) return;
    for (std::size_t i = 0; i < windows.exchange->mine().size(); ++i) {
      const int window = windows.exchange->mine()[i];
      const Box& box = windows.box(i);
      windows.latents.push_back(restore_window(saved, window, box_shape(clip_.channels, box),
                                               context_.ops.device(), *windows.solvers[i]));
    }
  }

  Denoised finish(Windows windows) {
    Denoised made;
    for (const int group : windows.step.owner) made.leader.push_back(plan_.leader(group));
    for (std::size_t i = 0; i < windows.latents.size(); ++i) {
      const Box& box = windows.box(i);
      if (has_given_frame(box)) put_first_frame(first_frame_, clip_, box, windows.latents[i]);
      made.latents[windows.exchange->mine()[i]] = windows.latents[i];
    }
    made.windows = std::move(windows.step.windows);
    return made;
  }

  RenderContext& context_;
  const ModelFolder& model_;
  const Clip& clip_;
  const RenderPlan& plan_;
  Tensor first_frame_;  // on the device
  Schedule schedule_;
  Team team_;
  ExpertInUse expert_;
};

}  // namespace

Denoised denoise(RenderContext& context, const ModelFolder& model, const Clip& clip,
                 const RenderPlan& plan, const PromptEmbeds& prompts, const Tensor& first_frame) {
  return Denoising(context, model, clip, plan, prompts, first_frame).run();
}

}  // namespace weft
