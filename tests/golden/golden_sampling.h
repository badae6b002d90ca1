#pragma once
// The step loop of a golden job, from the reference's noise and embeddings: on one rank for the
// ladder, and on many, whose attention and branches are handed in.

#include <functional>
#include <string>
#include <vector>

#include "weft/diffusion/denoiser.h"
#include "weft/diffusion/solver.h"
#include "weft/model/model_folder.h"

#include "golden/golden_folder.h"

namespace weft::test {

/// The prompt whose embeddings are stored as "negative_embeds".
inline std::size_t negative_index(const Golden& golden) {
  return golden.job["token_ids"].size() - 1;
}
inline std::int64_t text_length(const Golden& golden) { return golden.job["max_sequence_length"]; }

/// Real rows of a stored embedding: as many as the prompt has tokens, if so many are stored.
inline Tensor embeds(const Golden& golden, const std::string& name, std::size_t prompt) {
  const auto n = static_cast<std::int64_t>(golden.job["token_ids"][prompt].size());
  const Tensor stored = golden.tensor(name);
  return stored.slice(0, std::min(n, stored.dim(0))).clone();
}

/// x[:, 0] = z[:, 0]  (x [C, T, H, W], z [C, 1, H, W])
inline void put_first_frame(const Tensor& z, const Tensor& x) {
  const std::int64_t cells = x.dim(2) * x.dim(3);
  for (std::int64_t c = 0; c < x.dim(0); ++c) {
    std::copy_n(z.data<float>() + c * cells, cells, x.data<float>() + c * x.dim(1) * cells);
  }
}

/// A job's transformers with its prompts, and the loop over its steps.
class GoldenSampling {
 public:
  GoldenSampling(const Golden& golden, const ModelFolder& model, Ops& ops)
      : golden_(golden), ops_(ops), train_steps_(model.scheduler.train_steps) {
    nets_.push_back(model.load_transformer("transformer", ops));
    if (model.two_experts) nets_.push_back(model.load_transformer("transformer_2", ops));
    const double scale = golden.job["guidance_scale"];
    const auto& second = golden.job["guidance_scale_2"];
    const auto& ratio = golden.job["boundary_ratio"];
    boundary_ = ratio.is_null() ? 0 : ratio.get<double>() * static_cast<double>(train_steps_);
    for (const WanTransformer& net : nets_) {
      const bool low_noise = !denoisers_.empty();
      Expert expert{
          .transformer = &net,
          .cond = {text(net, "prompt_embeds", 0)},
          .uncond = {},
          .guidance_scale = low_noise && !second.is_null() ? second.get<double>() : scale};
      // The first scale decides for both experts (spec 5, "Loop").
      if (scale > 1) expert.uncond = text(net, "negative_embeds", negative_index(golden));
      denoisers_.emplace_back(std::move(expert));
    }
  }

  [[nodiscard]] std::int64_t heads() const { return nets_.front().config().heads; }

  /// Runs all steps of `sampler`; `after_step` gets the latents [C, T, H, W] on the host.
  /// `image_latent` [C, 1, H, W]: the given first frame, or undefined. Returns the final latents.
  Tensor run(const std::string& sampler, const Tensor& image_latent, SelfAttention& attention,
             BranchShare& branches,
             const std::function<void(std::int64_t step, const Tensor& x)>& after_step = {}) {
    const Schedule schedule =
        make_schedule(sampler, golden_.job["steps"], golden_.job["flow_shift"], train_steps_);
    const auto solver = make_solver(sampler, schedule);
    const auto first = image_latent.defined() ? FirstFrame::given : FirstFrame::noise;
    const std::int64_t steps = golden_.job["steps"];
    Tensor x = golden_.tensor("noise");
    for (std::int64_t i = 0; i < steps; ++i) {
      Tensor input = x.clone();
      if (image_latent.defined()) put_first_frame(image_latent, input);
      const double t = schedule.timesteps[static_cast<std::size_t>(i)];
      const int expert = expert_at(t, static_cast<int>(denoisers_.size()), boundary_);
      const Tensor v = denoisers_[static_cast<std::size_t>(expert)].velocity(
          ops_, input.to(ops_.device()), t, 0, first, attention, branches);
      const Tensor moved = x.to(ops_.device());
      solver->step(ops_, static_cast<int>(i), v, moved);
      x = moved.to(DeviceKind::cpu);
      if (after_step) after_step(i, x);
    }
    if (image_latent.defined()) put_first_frame(image_latent, x);
    return x;
  }

 private:
  [[nodiscard]] TextContext text(const WanTransformer& net, const std::string& name,
                                 std::size_t prompt) const {
    const Tensor rows = embeds(golden_, name, prompt).as(ops_.activation()).to(ops_.device());
    return net.prepare_text(ops_, rows, text_length(golden_));
  }

  const Golden& golden_;
  Ops& ops_;
  std::int64_t train_steps_;
  double boundary_ = 0;
  std::vector<WanTransformer> nets_;
  std::vector<Denoiser> denoisers_;
};

}  // namespace weft::test
