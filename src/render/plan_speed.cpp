#include "plan_speed.h"

#include <algorithm>
#include <numeric>

#include "weft/model/cost_size.h"

namespace weft {
namespace {

std::string row(const char* name, const std::string& value, const std::string& source) {
  return fmt::format("  {:<8}  {:<46}  {}\n", name, value, source);
}

std::string rate_text(double bytes) {
  return bytes >= 1e12 ? fmt::format("{:.3g} TB/s", bytes / 1e12)
                       : fmt::format("{:.3g} GB/s", bytes / 1e9);
}

std::string link_text(double bytes, double latency) {
  return fmt::format("{} sent per rank, {:.3g} us per exchange", rate_text(bytes), latency * 1e6);
}

std::string measured_text(const LinkSpeed& link, const std::string& from) {
  return fmt::format("measured: {} (to {:.0f} %)", from, link.error * 100);
}

std::string flops_rate_text(double flops) {
  return flops >= 1e12 ? fmt::format("{:.3g} TFLOP/s per rank", flops / 1e12)
                       : fmt::format("{:.3g} GFLOP/s per rank", flops / 1e9);
}

std::string table_row(const RenderPlan& plan, const PlanPrediction& p, double one_rank) {
  return fmt::format("{:>7}  {:<44}  {:>9.3g}  {:>9.4g}  {:>8.2f}  {:>7.1f} %\n", plan.ranks,
                     plan.grid.str(), p.step.seconds, p.seconds, one_rank / p.seconds,
                     p.step.exchange_seconds / p.step.seconds * 100);
}

}  // namespace

std::vector<double> window_flops(const WindowPlan& windows, const Clip& clip,
                                 const ModelFolder& model) {
  std::vector<double> flops;
  const TransformerSize size = cost_size(model.transformer);
  for (const auto& window : windows.windows) {
    flops.push_back(transformer_flops(size, tokens_of(window.box), clip.text_length).total());
  }
  return flops;
}

GridWork grid_work(const WindowPlan& windows, const Clip& clip, const ModelFolder& model,
                   const Machine& machine) {
  GridWork work{.window_tokens = {},
                .heads = model.transformer.heads,
                .head_dim = model.transformer.head_dim,
                .layers = model.transformer.layers,
                .window_flops = window_flops(windows, clip, model),
                .overlaps = {},
                .guided = clip.guided(),
                .element_bytes = machine.precision == Precision::f32 ? 4.0 : 2.0,
                .ring_bytes = machine.precision == Precision::f32   ? 4.0
                              : machine.precision == Precision::fp8 ? 1.0
                                                                    : 2.0,
                .ranks_per_node = machine.ranks_per_node,
                // On the CPU the same job gives the same bytes on any number of ranks.
                .ring_unasked = machine.device == DeviceKind::cuda};
  for (const auto& window : windows.windows) work.window_tokens.push_back(tokens_of(window.box));
  // As if every window had an owner of its own.
  std::vector<int> alone(windows.windows.size());
  std::iota(alone.begin(), alone.end(), 0);
  for (const Transfer& t : overlap_plan(windows, alone)) {
    work.overlaps.push_back(
        {t.from_item, t.to_item, static_cast<double>(t.box.cells() * clip.channels) * 4});
  }
  return work;
}

double decode_flops(const RenderPlan& plan, const Clip& clip, const ModelFolder& model) {
  const VaeSize vae = cost_size(model.vae);
  if (clip.decode == DecodeKind::exact) return vae_decode_cost(vae, clip.latents).flops;
  double flops = 0;
  for (const Box& piece : plan.pieces) flops += vae_decode_cost(vae, piece).flops;
  return flops;
}

MachineSpeed speed_of(const Machine& machine) {
  const MachineSpeed assumed = machine.device == DeviceKind::cpu
                                   ? cpu_speed()
                                   : gpu_speed(machine.precision == Precision::fp8);
  return machine.network ? with_network(assumed, *machine.network) : assumed;
}

PlanPrediction predict(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                       const Machine& machine) {
  const MachineSpeed speed = speed_of(machine);
  PlanPrediction p{predict_step(plan.grid, grid_work(plan.windows, clip, model, machine), speed)};
  std::vector<int> pieces_of(static_cast<std::size_t>(plan.ranks), 0);
  for (const int rank : plan.piece_owner) ++pieces_of[static_cast<std::size_t>(rank)];
  const double share = static_cast<double>(*std::ranges::max_element(pieces_of)) /
                       static_cast<double>(plan.pieces.size());
  p.seconds = clip.steps * p.step.seconds + decode_flops(plan, clip, model) / speed.flops * share;
  return p;
}

std::string scaling_text(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                         const Machine& machine) {
  if (plan.ranks == 1) return "";
  Machine free = machine;
  free.parallel = {};
  free.shard_weights = false;
  std::string out = fmt::format("{:>7}  {:<44}  {:>9}  {:>9}  {:>8}  {:>9}\n", "ranks", "grid",
                                "step s", "whole s", "speed-up", "exchange");
  double one_rank = 0;
  for (int ranks = 1; ranks < plan.ranks; ranks *= 2) {
    const RenderPlan fewer = make_render_plan(clip, model, ranks, free);
    const PlanPrediction p = predict(fewer, clip, model, free);
    if (ranks == 1) one_rank = p.seconds;
    out += table_row(fewer, p, one_rank);
  }
  out += table_row(plan, predict(plan, clip, model, machine), one_rank);
  out += "  (whole: denoising and decoding; exchange: part of a step";
  if (machine.parallel != GridRequest{}) out += "; grids of fewer ranks chosen automatically";
  return out + ")\n";
}

std::string speed_text(const Machine& machine) {
  const MachineSpeed s = speed_of(machine);
  const bool cpu = machine.device == DeviceKind::cpu;
  const auto& measured = machine.network;
  const std::string from = measured ? measured->source : "";
  const char* h200 = "assumed: an H200 (bench/README.md)";
  std::string out = "predicted from\n";
  out += row("forward", flops_rate_text(s.flops),
             measured && measured->flops ? "given: " + from
             : cpu                       ? "assumed: two cores of a server"
                                         : h200);
  out += row("node", link_text(s.node_bytes, s.latency),
             measured && measured->node ? measured_text(*measured->node, from)
             : cpu                      ? "assumed: ranks meet in memory"
                                        : "assumed: NVLink, as between H200s");
  out += row("network", link_text(s.network_bytes, s.network_latency),
             measured && measured->network ? measured_text(*measured->network, from)
             : cpu                         ? "assumed: 10 Gb/s Ethernet"
                                           : "assumed: 400 Gb/s per GPU, 45 GB/s of it used");
  out += row("copies", rate_text(s.memory_bytes) + " per rank, of what travels",
             cpu ? "assumed: a core of a server" : h200);
  out += row("waiting", fmt::format("{:.3g} % longer compute on several ranks", s.waiting * 100),
             cpu ? "assumed" : "assumed: H200s (bench/README.md)");
  out += row("ring", fmt::format("{:.3g} % longer attention in a ring", s.ring * 100),
             cpu ? "assumed" : "assumed: H200s (bench/README.md)");
  out += row("overlap",
             fmt::format("{:.3g} % of a ring's attention, within a node", s.ring_hidden * 100),
             cpu ? "assumed" : "assumed: H200s (bench/README.md)");
  out += fmt::format(
      "  nodes of {} rank{}; left out: loading, text, histories of the decoder, encoding\n",
      machine.ranks_per_node, machine.ranks_per_node == 1 ? "" : "s");
  return out;
}

}  // namespace weft
