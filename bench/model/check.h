#pragma once
// One component against results that diffusers computed from the same weights
// (tools/compare/diffusers_reference.py).

#include <filesystem>
#include <string>

#include "weft/ops/ops.h"

namespace weft::bench {

/// Errors are |result - reference| / |reference| over all values, against diffusers' float32.
struct CheckResult {
  std::string component;  // "transformer" or "vae"
  std::string size;       // shape of the result
  double ours = 0;
  double peer = 0;     // of diffusers' bf16
  double allowed = 0;  // float32: 1e-3; bf16: 5 % more than the peer's; fp8: anything finite
  [[nodiscard]] bool passed() const { return ours <= allowed; }
};

/// `folder`: of the component, or of a model that has it. `file` says by what it holds which
/// component it is for: latents, timestep, embeds, velocity_f32, velocity_bf16; or z, video_f32,
/// video_bf16.
CheckResult check(Ops& ops, Precision precision, const std::filesystem::path& folder,
                  const std::filesystem::path& file);

}  // namespace weft::bench
