#pragma once
// What a clip will do on a number of ranks: a pure value, made the same way on every rank.

#include <string>
#include <vector>

#include "weft/grid/cost.h"
#include "weft/grid/network.h"
#include "weft/grid/process_grid.h"
#include "weft/grid/windows.h"
#include "weft/render/clip.h"

namespace weft {

/// What the ranks compute on, and how the user wants them to share the work.
struct Machine {
  DeviceKind device = DeviceKind::cpu;
  Precision precision = Precision::f32;
  int ranks_per_node = 1;
  GridRequest parallel;                         // nothing asked for: chosen automatically
  bool shard_weights = false;                   // each rank keeps its part of the transformer
  std::optional<MeasuredNetwork> network = {};  // nothing measured: assumed
};
/// What such a machine is taken to do; the plan's text names the figures and where each is from.
MachineSpeed speed_of(const Machine& machine);

struct RenderPlan {
  int ranks = 1;
  ProcessGrid grid;                // of the ranks that denoise
  WindowPlan windows;              // of the first step
  std::vector<int> owner;          // group, by window
  std::vector<Box> pieces;         // what is decoded at a time: frame chunks, or tiles
  std::vector<int> piece_owner;    // rank, by piece
  std::vector<AxisWindows> tiles;  // decode tiles: rows, cols in pixels; empty for exact decoding

  /// Windows that `rank` takes part in, ascending.
  [[nodiscard]] std::vector<int> windows_of(int rank) const;
  /// The first rank of a group: it answers for the group's windows.
  [[nodiscard]] int leader(int group) const { return group * grid.group_ranks(); }
};

/// InputError when the grid that `machine` asks for does not fit the clip.
RenderPlan make_render_plan(const Clip& clip, const ModelFolder& model, int ranks,
                            const Machine& machine);

/// Which windows exist at a step, and the group of each. Without a window shift: those of the plan.
struct StepWindows {
  WindowPlan windows;
  std::vector<int> owner;
};
StepWindows windows_at(const Clip& clip, const ModelFolder& model, const RenderPlan& plan,
                       int step);

/// Figures of a plan: operations, bytes and memory per rank, and the speed-up they predict.
struct PlanFigures {
  double flops_text = 0, flops_forward = 0, flops_denoise = 0, flops_decode = 0;  // whole job
  std::vector<double> flops_of_rank;
  std::vector<RankTraffic> traffic_of_rank;  // all steps; windows' overlaps and latents
  // Bytes per rank, on the GPU where there is one; largest of the stages, and each of them.
  std::vector<double> memory_of_rank, text_memory, denoise_memory, decode_memory;
  StepPrediction step;                       // with this plan
  double seconds = 0, one_rank_seconds = 0;  // denoising and decoding, predicted
  [[nodiscard]] double speedup() const { return seconds > 0 ? one_rank_seconds / seconds : 1; }
};
PlanFigures plan_figures(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                         const Machine& machine);

/// Operations of one step on a rank that takes part in `mine` of `windows`: all branches of
/// guidance, shared evenly among the ranks of its group.
double step_flops(const WindowPlan& windows, const std::vector<int>& mine, const RenderPlan& plan,
                  const Clip& clip, const ModelFolder& model);
/// Operations to decode these latent frames of a piece, those before them being done. The chunks of
/// a clip add up to the whole.
double chunk_flops(const ModelFolder& model, const Box& piece, const Range& frames);

/// For people: windows, who computes what, figures.
std::string describe(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                     const Machine& machine);

}  // namespace weft
