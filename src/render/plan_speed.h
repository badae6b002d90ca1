#pragma once
// How long a plan takes, and what that is concluded from.

#include <string>

#include "weft/render/plan.h"

namespace weft {

/// Operations of one forward of each window.
std::vector<double> window_flops(const WindowPlan& windows, const Clip& clip,
                                 const ModelFolder& model);
GridWork grid_work(const WindowPlan& windows, const Clip& clip, const ModelFolder& model,
                   const Machine& machine);

/// Operations of decoding, all pieces.
double decode_flops(const RenderPlan& plan, const Clip& clip, const ModelFolder& model);

struct PlanPrediction {
  StepPrediction step;
  double seconds = 0;  // denoising and decoding
};
PlanPrediction predict(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                       const Machine& machine);

/// 1, 2, 4, ... ranks up to the plan's: grid, seconds, speed-up. "" for a plan of one rank.
std::string scaling_text(const RenderPlan& plan, const Clip& clip, const ModelFolder& model,
                         const Machine& machine);

/// Every figure that predictions rest on, and where it is from.
std::string speed_text(const Machine& machine);

}  // namespace weft
