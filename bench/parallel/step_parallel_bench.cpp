// One step of denoising (both branches of guidance and the solver) of a model of the true size,
// shared by the ranks of one mpirun in several ways: seconds, speed-up against one rank of the same
// run, serial fraction, bytes on their way. Weights are random: they are made where they are used.
#include <algorithm>
#include <cstdio>
#include <fstream>

#include <nlohmann/json.hpp>

#include "weft/base/stages.h"
#include "weft/diffusion/denoiser.h"
#include "weft/diffusion/solver.h"
#include "weft/parallel/team.h"

#include "../model/sizes.h"
#include "../model/values.h"
#include "rank_program.h"

namespace weft::bench {
namespace {

struct Arguments {
  std::string model = "wan2.1-1.3b", precision = "bf16", device = "cuda", json;
  std::int64_t width = 0, height = 0, frames = 0, prompt_tokens = 128;
  std::vector<std::string> grids;
  int repeat = 3, warm_up = 1, threads = 1;
};

void describe(CLI::App& app, Arguments& a) {
  app.add_option("--model", a.model)->check(CLI::IsMember(model_names()));
  app.add_option("--width", a.width, "pixels (default: the model's)");
  app.add_option("--height", a.height, "pixels (default: the model's)");
  app.add_option("--frames", a.frames, "(default: the model's)");
  app.add_option("--parallel", a.grids,
                 "cfg=2,ulysses=2 ...: one or more ways to share; one rank comes first by itself");
  app.add_option("--prompt-tokens", a.prompt_tokens)->check(CLI::Range(1, 512));
  app.add_option("--device", a.device)->check(CLI::IsMember({"cuda", "cpu"}));
  app.add_option("--precision", a.precision, "on CUDA")
      ->check(CLI::IsMember({"f32", "bf16", "fp8"}));
  app.add_option("--threads", a.threads, "of the CPU, per rank")->check(CLI::PositiveNumber);
  app.add_option("--repeat", a.repeat, "steps that count")->check(CLI::PositiveNumber);
  app.add_option("--warm-up", a.warm_up, "steps before them")->check(CLI::NonNegativeNumber);
  app.add_option("--json", a.json, "file for the results");
}

struct Result {
  double seconds = 0;  // median of the slowest rank's
  double bytes = 0;    // sent by the busiest rank in a step
};

/// Collective over `world`; ranks without a place wait.
Result measure(const Arguments& a, const ModelSizes& model, const ClipSize& clip,
               const ProcessGrid& grid, const Communicator& world, Fabric& fabric, Ops& ops,
               const WanTransformer& wan) {
  Team team = make_team(world, fabric, grid, model.transformer.heads);
  Result result;
  std::vector<double> seconds;
  std::unique_ptr<Denoiser> denoiser;
  const Shape shape = latent_shape(model, clip);
  Tensor latents;
  const int steps = a.warm_up + a.repeat;
  const Schedule schedule = make_schedule("unipc", std::max(steps, 10), 3, 1000);
  const auto solver = make_solver("unipc", schedule);
  if (team.place) {
    const auto text = [&](int seed) {
      const Tensor embeds = random_values({a.prompt_tokens, model.transformer.text_dim}, seed);
      return wan.prepare_text(ops, on_device(ops, embeds, ops.activation()), text_length);
    };
    denoiser = std::make_unique<Denoiser>(
        Expert{.transformer = &wan, .cond = {text(1)}, .uncond = text(2), .guidance_scale = 5});
    latents = on_device(ops, random_values(shape, 3), DType::f32);
  }
  for (int step = 0; step < steps; ++step) {
    ops.synchronize();
    world.barrier();
    const double sent = static_cast<double>(fabric.bytes_sent());
    const double begin = now_seconds();
    if (team.place) {
      const Tensor v =
          denoiser->velocity(ops, latents, schedule.timesteps[static_cast<std::size_t>(step)], 0,
                             FirstFrame::noise, *team.attention, *team.branches);
      solver->step(ops, step, v, latents);
    }
    ops.synchronize();
    const double slowest = world.max(now_seconds() - begin);
    result.bytes = world.max(static_cast<double>(fabric.bytes_sent()) - sent);
    if (step >= a.warm_up) seconds.push_back(slowest);
  }
  if (team.place) WEFT_ASSERT(ops.all_finite(latents), "{}: latents are not finite", grid.str());
  std::ranges::sort(seconds);
  result.seconds = seconds[seconds.size() / 2];
  return result;
}

void run(const Arguments& a, const Session& session) {
  const ModelSizes model = model_sizes(a.model);
  ClipSize clip = model.native;
  if (a.width > 0) clip.width = a.width;
  if (a.height > 0) clip.height = a.height;
  if (a.frames > 0) clip.frames = a.frames;
  const Communicator world = Communicator::world();
  const auto ops = rank_ops(a.device, a.precision, a.threads, session);
  Fabric fabric(world, ops->device());
  fabric.prepare();
  WeightSource weights = WeightSource::random("transformer", *ops);
  const WanTransformer wan(model.transformer, weights);
  const Shape shape = latent_shape(model, clip);
  const std::int64_t tokens = tokens_of(whole(shape[1], shape[2], shape[3]));

  std::vector<ProcessGrid> grids{{}};
  for (const std::string& text : a.grids) {
    const GridRequest r = parse_grid(text);
    grids.push_back({1, r.cfg.value_or(1), r.ulysses.value_or(1), r.ring.value_or(1)});
    if (grids.back().ranks() > world.size()) {
      fail_input("--parallel {}: {} ranks, of {}", text, grids.back().ranks(), world.size());
    }
  }
  nlohmann::json rows = nlohmann::json::array();
  if (world.rank() == 0) {
    std::printf(
        "%s, %ld x %ld, %ld frames, %ld tokens, prompt %ld, %s\n\n"
        "| ranks | cfg x ulysses x ring | step s | speed-up | serial fraction | sent per rank, GB "
        "|\n"
        "|---|---|---|---|---|---|\n",
        a.model.c_str(), clip.width, clip.height, clip.frames, tokens, a.prompt_tokens,
        ops->describe().c_str());
  }
  double one = 0;
  for (const ProcessGrid& grid : grids) {
    const Result r = measure(a, model, clip, grid, world, fabric, *ops, wan);
    if (grid.ranks() == 1) one = r.seconds;
    if (world.rank() != 0) continue;
    const double n = grid.ranks();
    const double speedup = one / r.seconds;
    const double serial = n > 1 ? (n / speedup - 1) / (n - 1) : 0;
    std::printf("| %d | %d x %d x %d | %.4f | %.3f | %.4f | %.3f |\n", grid.ranks(), grid.cfg,
                grid.ulysses, grid.ring, r.seconds, speedup, serial, r.bytes / 1e9);
    std::fflush(stdout);
    rows.push_back({{"ranks", grid.ranks()},
                    {"cfg", grid.cfg},
                    {"ulysses", grid.ulysses},
                    {"ring", grid.ring},
                    {"step_seconds", r.seconds},
                    {"speedup", speedup},
                    {"serial_fraction", serial},
                    {"bytes_sent_per_rank", r.bytes}});
  }
  if (world.rank() == 0 && !a.json.empty()) {
    std::ofstream(a.json) << nlohmann::json{{"model", a.model},
                                            {"width", clip.width},
                                            {"height", clip.height},
                                            {"frames", clip.frames},
                                            {"tokens", tokens},
                                            {"precision", a.precision},
                                            {"device", ops->describe()},
                                            {"repeat", a.repeat},
                                            {"rows", rows}}
                                 .dump(1)
                          << "\n";
  }
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  using namespace weft::bench;
  return main_of<Arguments>(argc, argv, "A step of denoising shared by the ranks of one mpirun",
                            describe, run);
}
