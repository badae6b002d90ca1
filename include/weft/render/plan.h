#pragma once
// What a clip will do on a number of ranks: a pure value, made the same way on every rank.

#include <string>
#include <vector>

#include "weft/grid/cost.h"
#include "weft/grid/windows.h"
#include "weft/render/clip.h"

namespace weft {

struct RenderPlan {
  int ranks = 1;
  WindowPlan windows;
  std::vector<int> owner;          // by window
  std::vector<Box> pieces;         // what is decoded at a time: frame chunks, or tiles
  std::vector<int> piece_owner;    // by piece
  std::vector<AxisWindows> tiles;  // decode tiles: rows, cols in pixels; empty for exact decoding

  /// Windows of `rank`, ascending.
  [[nodiscard]] std::vector<int> windows_of(int rank) const;
};

RenderPlan make_render_plan(const Clip& clip, const ModelFolder& model, int ranks);

/// What a rank computes on.
struct Machine {
  DeviceKind device = DeviceKind::cpu;
  Precision precision = Precision::f32;
};

/// Figures of a plan: operations, bytes and memory per rank, and the speed-up they predict.
struct PlanFigures {
  double flops_text = 0, flops_forward = 0, flops_denoise = 0, flops_decode = 0;  // whole job
  std::vector<double> flops_of_rank;
  std::vector<RankTraffic> traffic_of_rank;  // all steps
  // Bytes per rank, on the GPU where there is one; largest of the stages, and each of them.
  std::vector<double> memory_of_rank, text_memory, denoise_memory, decode_memory;
  double speedup = 1;  // predicted, against one rank and the same plan
};
PlanFigures plan_figures(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                         const Machine& machine);

/// For people: windows, who computes what, figures.
std::string describe(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                     const Machine& machine);

}  // namespace weft
