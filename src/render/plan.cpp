#include "weft/render/plan.h"

#include <algorithm>
#include <numeric>

#include "weft/device/device_link.h"
#include "weft/model/cost_size.h"

#include "plan_speed.h"

namespace weft {
namespace {

// Decode tiles of the reference's tiled autoencoder (spec 6.5): 256 pixels, 64 of them shared.
constexpr std::int64_t tile_pixels = 256;
constexpr std::int64_t tile_overlap = 64;

AxisWindows tile_axis(std::int64_t pixels, std::int64_t align) {
  const std::int64_t size = std::max(align, tile_pixels / align * align);
  const std::int64_t overlap = std::min(size - align, tile_overlap / align * align);
  return cover_axis(pixels, size, overlap, align);
}

}  // namespace

std::vector<int> RenderPlan::windows_of(int rank) const {
  std::vector<int> mine;
  const auto place = place_of(grid, rank);
  for (std::size_t w = 0; place && w < owner.size(); ++w) {
    if (owner[w] == place->group) mine.push_back(static_cast<int>(w));
  }
  return mine;
}

StepWindows windows_at(const Clip& clip, const ModelFolder& model, const RenderPlan& plan,
                       int step) {
  if (!clip.window_shift) return {plan.windows, plan.owner};
  StepWindows at;
  at.windows =
      make_window_plan(clip.latents, clip.window, window_shift(clip.latents, clip.window, step));
  at.owner = assign_windows(window_flops(at.windows, clip, model), plan.grid.groups);
  return at;
}

RenderPlan make_render_plan(const Clip& clip, const ModelFolder& model, int ranks,
                            const Machine& machine) {
  RenderPlan plan;
  plan.ranks = ranks;
  plan.windows = make_window_plan(clip.latents, clip.window);
  const GridWork work = grid_work(plan.windows, clip, model, machine);
  plan.grid = choose_grid(machine.parallel, work, ranks, speed_of(machine));
  plan.owner = assign_windows(work.window_flops, plan.grid.groups);
  if (clip.decode == DecodeKind::exact) {
    plan.pieces = chunk_boxes(clip.latents, decode_chunks(clip.latents.frames().size(), 1));
  } else {
    const std::int64_t s = model.space_factor();
    plan.tiles = {tile_axis(clip.height, s), tile_axis(clip.width, s)};
    for (const Range& y : plan.tiles[0].ranges) {
      for (const Range& x : plan.tiles[1].ranges) {
        plan.pieces.push_back({{clip.latents.frames(), Range{y.begin / s, y.end / s},
                                Range{x.begin / s, x.end / s}}});
      }
    }
  }
  plan.piece_owner = assign_chunks(plan.pieces.size(), ranks);
  return plan;
}

namespace {

/// Bytes that the stages need at the same time on one rank.
struct MemoryModel {
  double text, decode;
  double net, per_token;
  /// `tokens`: of a rank's share of a window.
  [[nodiscard]] double denoise(std::int64_t tokens) const {
    return net + per_token * static_cast<double>(tokens);
  }

  MemoryModel(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
              const Machine& machine) {
    const TransformerSize transformer = cost_size(model.transformer);
    const TextEncoderSize encoder = cost_size(model.text);
    const bool cpu = machine.device == DeviceKind::cpu;
    const double element = machine.precision == Precision::f32 ? 4 : 2;
    // Weights: on the CPU once more in the order the kernels want; fp8 copies beside bf16.
    const double of_matmul = cpu ? 8 : machine.precision == Precision::fp8 ? 3 : element;
    // Workspaces of cuBLASLt and cuDNN; what both lanes keep for the other ranks of the host.
    const double others = std::min(plan.ranks, std::max(1, machine.ranks_per_node)) - 1;
    const double library =
        cpu ? 0 : 0.2e9 + 2 * others * static_cast<double>(device_link_peer_bytes);
    // Of the embedding table only the prompt's rows are read, from the file.
    const std::int64_t loaded = text_encoder_parameters(encoder) - encoder.vocabulary * encoder.dim;
    text = (cpu ? 8 : element) * static_cast<double>(loaded) +
           (cpu ? 0.0
                : 4.0 * static_cast<double>(encoder.heads * clip.text_length * clip.text_length)) +
           library;
    const auto parameters = static_cast<double>(transformer_parameters(transformer));
    // Shares of the blocks' matrices (all but a few parameters), and two blocks whole.
    const double kept = machine.shard_weights ? 1.0 / plan.grid.ranks() +
                                                    2.0 / static_cast<double>(transformer.layers)
                                              : 1;
    net = of_matmul * parameters * std::min(1.0, kept) + library;
    // x, h, q, k, v and the feed-forward's inner width; cos and sin. Shared forwards hold q, k, v
    // and the result once more, in pieces of heads on their way.
    const bool shared = plan.grid.forward_ranks() > 1;
    per_token =
        element * static_cast<double>((shared ? 9 : 5) * transformer.dim + transformer.ffn) +
        4.0 * static_cast<double>(model.transformer.head_dim);
    // What a ring keeps for the keys and values that come (device_link_room_bytes).
    if (plan.grid.ring > 1 && !cpu) per_token += 5 * element * static_cast<double>(transformer.dim);
    const Box one_frame{{Range{0, 1}, clip.latents.rows(), clip.latents.cols()}};
    const VaeSize vae = cost_size(model.vae);
    const double weights =
        (cpu ? 8 : 2 * element) * static_cast<double>(vae_decode_cost(vae, one_frame).parameters);
    // The widest layers of one chunk: input with its two history frames, output, and one more.
    const double chunk = element * static_cast<double>(clip.width * clip.height) *
                         static_cast<double>(model.vae.decoder_base_dim) * 14 /
                         static_cast<double>(model.vae.patch * model.vae.patch);
    // Of several ranks each holds its chunk's histories and those of the one before, which travel.
    const double histories = plan.ranks > 1 && clip.decode == DecodeKind::exact ? 2 : 1;
    decode = weights + chunk + library + histories * element * history_elements(clip, model);
  }

  /// Two input frames of every causal convolution of the decoder, kept between chunks.
  static double history_elements(const Clip& clip, const ModelFolder& model) {
    const VaeConfig& c = model.vae;
    const double cells =
        static_cast<double>(clip.latents.rows().size() * clip.latents.cols().size());
    double elements = 0;
    double magnified = 1;
    for (std::size_t i = c.dim_mult.size(); i-- > 0;) {
      const auto width = static_cast<double>(c.decoder_base_dim * c.dim_mult[i]);
      const double layers = 2 * static_cast<double>(c.num_res_blocks + 1) + 2;
      elements += 2 * cells * magnified * width * layers;
      magnified *= 4;
    }
    return elements;
  }
};

}  // namespace

PlanFigures plan_figures(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                         const Machine& machine) {
  const VaeSize vae = cost_size(model.vae);
  const auto ranks = static_cast<std::size_t>(plan.ranks);
  const double branches = clip.guided() ? 2 : 1;
  PlanFigures f;
  f.flops_of_rank.assign(ranks, 0);
  f.flops_text = branches * text_encoder_flops(cost_size(model.text), clip.text_length);
  f.flops_of_rank[0] += f.flops_text;
  std::vector<double> latents_of_rank(ranks, 0);
  std::vector<std::int64_t> largest_tokens(ranks, 0);
  const std::vector<double> forward = window_flops(plan.windows, clip, model);
  for (std::size_t w = 0; w < plan.owner.size(); ++w) {
    const Box& box = plan.windows.windows[w].box;
    f.flops_forward += forward[w];
    const int first = plan.leader(plan.owner[w]);
    for (int r = first; r < first + plan.grid.group_ranks(); ++r) {
      const auto rank = static_cast<std::size_t>(r);
      f.flops_of_rank[rank] += forward[w] * branches * clip.steps / plan.grid.group_ranks();
      latents_of_rank[rank] += static_cast<double>(box.cells() * clip.channels) * 4 * 6;
      largest_tokens[rank] =
          std::max(largest_tokens[rank],
                   (tokens_of(box) + plan.grid.forward_ranks() - 1) / plan.grid.forward_ranks());
    }
  }
  f.flops_denoise = f.flops_forward * branches * clip.steps;
  f.flops_decode = decode_flops(plan, clip, model);
  std::vector<bool> decodes(ranks, false);
  for (std::size_t p = 0; p < plan.pieces.size(); ++p) {
    const auto rank = static_cast<std::size_t>(plan.piece_owner[p]);
    f.flops_of_rank[rank] += clip.decode == DecodeKind::exact
                                 ? f.flops_decode / static_cast<double>(plan.pieces.size())
                                 : vae_decode_cost(vae, plan.pieces[p]).flops;
    decodes[rank] = true;
  }

  // Every lane (the ranks at one position of the groups) exchanges the same between its groups.
  f.traffic_of_rank.resize(ranks);
  const auto between_groups =
      traffic(overlap_plan(plan.windows, plan.owner), clip.channels, plan.grid.groups);
  for (int r = 0; r < plan.grid.ranks(); ++r) {
    const RankTraffic& t = between_groups[static_cast<std::size_t>(r / plan.grid.group_ranks())];
    f.traffic_of_rank[static_cast<std::size_t>(r)] = {t.sent * clip.steps, t.received * clip.steps};
  }
  std::vector<int> leaders;
  for (const int group : plan.owner) leaders.push_back(plan.leader(group));
  for (const TransferPlan& once :
       {gather_plan(plan.windows, leaders, plan.pieces, plan.piece_owner)}) {
    const auto moved = traffic(once, clip.channels, plan.ranks);
    for (std::size_t r = 0; r < ranks; ++r) {
      f.traffic_of_rank[r].sent += moved[r].sent;
      f.traffic_of_rank[r].received += moved[r].received;
    }
  }

  const MemoryModel memory(plan, clip, model, machine);
  for (std::size_t r = 0; r < ranks; ++r) {
    f.text_memory.push_back(r == 0 ? memory.text : 0);
    f.denoise_memory.push_back(
        largest_tokens[r] > 0 ? memory.denoise(largest_tokens[r]) + latents_of_rank[r] : 0);
    f.decode_memory.push_back(decodes[r] ? memory.decode : 0);
    f.memory_of_rank.push_back(
        std::max({f.text_memory[r], f.denoise_memory[r], f.decode_memory[r]}));
  }
  const PlanPrediction here = predict(plan, clip, model, machine);
  f.step = here.step;
  f.seconds = here.seconds;
  const MachineSpeed speed = speed_of(machine);
  const GridWork work = grid_work(plan.windows, clip, model, machine);
  f.one_rank_seconds =
      clip.steps * predict_step({}, work, speed).seconds + f.flops_decode / speed.flops;
  return f;
}

namespace {

std::string flops_text(double flops) {
  const char* units[] = {"GFLOP", "TFLOP", "PFLOP"};
  double value = flops / 1e9;
  int unit = 0;
  while (value >= 1000 && unit < 2) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.2f} {}", value, units[unit]);
}

std::string bytes_text(double bytes) {
  return bytes >= 1e9 ? fmt::format("{:.2f} GB", bytes / 1e9)
                      : fmt::format("{:.2f} MB", bytes / 1e6);
}

/// "0 2 5" or "0-3", shortened after a few.
std::string list_text(const std::vector<int>& values) {
  if (values.empty()) return "none";
  std::string text;
  for (std::size_t i = 0; i < values.size();) {
    std::size_t j = i;
    while (j + 1 < values.size() && values[j + 1] == values[j] + 1) ++j;
    text += (text.empty() ? "" : " ") +
            (j > i ? fmt::format("{}-{}", values[i], values[j]) : fmt::format("{}", values[i]));
    i = j + 1;
    if (text.size() > 40 && i < values.size()) return text + " ...";
  }
  return text;
}

}  // namespace

std::string describe(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                     const Machine& machine) {
  const PlanFigures f = plan_figures(plan, clip, model, machine);
  const auto& size = clip.window.size;
  const auto& axes = plan.windows.axes;
  std::string out;
  out +=
      fmt::format("clip     {} x {} pixels, {} frames at {:g} fps ({:.1f} s)\n", clip.width,
                  clip.height, clip.frames, clip.fps, static_cast<double>(clip.frames) / clip.fps);
  const auto parameters = static_cast<double>(transformer_parameters(cost_size(model.transformer)));
  out += fmt::format("model    {}: {} layers, {} heads x {}, {:.2f} {} parameters{}\n", model.name,
                     model.transformer.layers, model.transformer.heads, model.transformer.head_dim,
                     parameters >= 1e8 ? parameters / 1e9 : parameters / 1e6,
                     parameters >= 1e8 ? "billion" : "million",
                     model.two_experts ? ", two experts" : "");
  out += fmt::format("latents  {} channels, {} frames x {} rows x {} columns, {} tokens\n",
                     clip.channels, clip.latents.frames().size(), clip.latents.rows().size(),
                     clip.latents.cols().size(), tokens_of(clip.latents));
  out += fmt::format("windows  {} ({} x {} x {} of {} x {} x {} cells, overlap {} x {} x {})\n",
                     plan.windows.windows.size(), axes[0].ranges.size(), axes[1].ranges.size(),
                     axes[2].ranges.size(), size[0], size[1], size[2], clip.window.overlap[0],
                     clip.window.overlap[1], clip.window.overlap[2]);
  out += fmt::format("ranks    {}: {}{}\n", plan.ranks, plan.grid.str(),
                     plan.grid.ranks() < plan.ranks
                         ? fmt::format(" ({} ranks only decode)", plan.ranks - plan.grid.ranks())
                         : "");
  out += fmt::format("decode   {} {}\n", plan.pieces.size(),
                     clip.decode == DecodeKind::exact
                         ? "chunks of latent frames, dealt to the ranks in turn (exact)"
                         : "tiles of 256 x 256 pixels, blended");
  out +=
      fmt::format("work     text {}, forward {} x {} steps x {} branches = {}, decode {}\n",
                  flops_text(f.flops_text), flops_text(f.flops_forward), clip.steps,
                  clip.guided() ? 2 : 1, flops_text(f.flops_denoise), flops_text(f.flops_decode));
  out +=
      "\n rank  windows                 pieces        work            sent      received        "
      "memory\n";
  constexpr int shown = 64;
  for (int r = 0; r < std::min(plan.ranks, shown); ++r) {
    const auto at = static_cast<std::size_t>(r);
    std::vector<int> pieces;
    for (std::size_t p = 0; p < plan.piece_owner.size(); ++p) {
      if (plan.piece_owner[p] == r) pieces.push_back(static_cast<int>(p));
    }
    const auto mine = plan.windows_of(r);
    out += fmt::format("{:>5}  {:<22}  {:>6}  {:>13}  {:>12}  {:>12}  {:>12}{}\n", r,
                       list_text(mine), pieces.size(), flops_text(f.flops_of_rank[at]),
                       bytes_text(static_cast<double>(f.traffic_of_rank[at].sent)),
                       bytes_text(static_cast<double>(f.traffic_of_rank[at].received)),
                       bytes_text(f.memory_of_rank[at]),
                       mine.empty() && pieces.empty() ? "  idle" : "");
  }
  if (plan.ranks > shown) out += fmt::format("  ... {} more ranks\n", plan.ranks - shown);
  out += fmt::format(
      "\npredicted  a step {:.3g} s (exchange {:.2g} s, {} sent per rank), denoise and decode "
      "{:.4g} s; on one rank {:.4g} s: speed-up {:.2f}\n\n",
      f.step.seconds, f.step.exchange_seconds, bytes_text(f.step.bytes_per_rank), f.seconds,
      f.one_rank_seconds, f.speedup());
  if (const std::string table = scaling_text(plan, clip, model, machine); !table.empty()) {
    out += table + "\n";
  }
  out += speed_text(machine);
  return out;
}

}  // namespace weft
