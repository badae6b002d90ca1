#pragma once
// One clip with everything decided: what a job means for one model. A plain value that every rank
// holds.

#include <cstdint>
#include <string>
#include <vector>

#include "weft/grid/windows.h"
#include "weft/io/image.h"
#include "weft/io/tokenizer.h"
#include "weft/model/model_folder.h"

namespace weft {

enum class NoiseKind : std::uint8_t { torch, philox };
enum class DecodeKind : std::uint8_t { exact, tiles };

struct Clip {
  std::int64_t width = 0, height = 0, frames = 0;  // pixels, pixels, frames
  std::int64_t channels = 0;                       // of the latents
  Box latents;                                     // the latent volume
  WindowSize window;                               // latent cells
  bool window_shift = false;                       // windows move from step to step
  DecodeKind decode = DecodeKind::exact;

  /// What is drawn from a frame on; a window draws the scene of its middle frame.
  struct Scene {
    std::int64_t frame;
    std::string prompt;  // as given
  };
  std::vector<Scene> scenes;  // the first from frame 0
  std::string negative_prompt;
  TextCleaning cleaning = TextCleaning::basic;
  std::int64_t text_length = 512;
  bool has_image = false;  // the first frame is given

  std::uint64_t seed = 0;
  NoiseKind noise = NoiseKind::torch;
  std::string sampler = "unipc";
  int steps = 50;
  double guidance_scale = 5, guidance_scale_2 = 5;  // _2: the low-noise expert's
  double flow_shift = 3;
  double boundary = 0;  // timestep from which the first expert works
  double fps = 16;

  [[nodiscard]] bool guided() const {
    return guidance_scale > 1;
  }  // spec 5: scale_2 does not decide
};

/// The scene (index) of a window of latent frames that stand for `time_factor` frames each.
std::size_t scene_of(const Clip& clip, const Range& latent_frames, std::int64_t time_factor);

/// Wanted sizes in pixels and frames; 0 = "the model's native one".
struct SizeRequest {
  std::int64_t width = 0, height = 0, frames = 0;
};

/// Fills width, height, frames, channels and latents; every size that the model cannot render is a
/// problem that names the nearest valid ones.
void set_size(Clip& clip, const SizeRequest& size, const ModelFolder& model, Problems& problems);

/// Fills clip.window. `window` [width, height, frames] in pixels and frames, or {} for the model's
/// native size when the volume has more tokens than that, else one window. `overlap` is a fraction
/// of the window along each axis that needs several.
void set_window(Clip& clip, const std::optional<std::array<std::int64_t, 3>>& window,
                double overlap, const ModelFolder& model, Problems& problems);

}  // namespace weft
