#include "weft/render/clip.h"

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

/// The largest multiple of `unit` not above `value`, at least `unit`.
std::int64_t floor_to(std::int64_t value, std::int64_t unit) {
  return std::max(unit, value / unit * unit);
}

void check_side(const char* key, std::int64_t value, std::int64_t unit, Problems& problems) {
  if (value % unit == 0 && value > 0) return;
  const std::int64_t below = floor_to(value, unit);
  problems.add("--{} {}: this model needs a multiple of {}: use {} or {}", key, value, unit, below,
               below + unit);
}

}  // namespace

void set_size(Clip& clip, const SizeRequest& size, const ModelFolder& model, Problems& problems) {
  const std::array<std::int64_t, 3> native =
      model.native_size.value_or(std::array<std::int64_t, 3>{832, 480, 81});
  clip.width = size.width > 0 ? size.width : native[0];
  clip.height = size.height > 0 ? size.height : native[1];
  clip.frames = size.frames > 0 ? size.frames : native[2];
  const std::int64_t unit = 2 * model.space_factor();  // a patch is 2 x 2 cells
  const std::int64_t time = model.time_factor();
  check_side("width", clip.width, unit, problems);
  check_side("height", clip.height, unit, problems);
  if (clip.frames % time != 1) {
    const std::int64_t below = (clip.frames - 1) / time * time + 1;
    problems.add("--frames {}: this model makes {} k + 1 frames: use {} or {}", clip.frames, time,
                 below, below + time);
  }
  clip.channels = model.vae.z_dim;
  clip.latents = whole((clip.frames - 1) / time + 1, clip.height / model.space_factor(),
                       clip.width / model.space_factor());
}

std::size_t scene_of(const Clip& clip, const Range& latent_frames, std::int64_t time_factor) {
  // Latent frame 0 is frame 0; latent frame i > 0 is frames (i - 1) f + 1 ... i f.
  const std::int64_t middle = (latent_frames.begin + latent_frames.end - 1) * time_factor / 2;
  std::size_t scene = 0;
  while (scene + 1 < clip.scenes.size() && clip.scenes[scene + 1].frame <= middle) ++scene;
  return scene;
}

void set_window(Clip& clip, const std::optional<std::array<std::int64_t, 3>>& window,
                double overlap, const ModelFolder& model, Problems& problems) {
  const std::int64_t space = model.space_factor();
  const std::int64_t time = model.time_factor();
  const std::array<std::int64_t, 3> extent{clip.latents.frames().size(), clip.latents.rows().size(),
                                           clip.latents.cols().size()};
  std::array<std::int64_t, 3> size = extent;
  if (window) {
    check_side("window", (*window)[0], 2 * space, problems);
    check_side("window", (*window)[1], 2 * space, problems);
    if ((*window)[2] % time != 1) {
      problems.add("--window: {} frames; a window holds {} k + 1 frames", (*window)[2], time);
    }
    size = {((*window)[2] - 1) / time + 1, (*window)[1] / space, (*window)[0] / space};
  } else if (model.native_size) {
    const auto& native = *model.native_size;
    const std::array<std::int64_t, 3> native_cells{(native[2] - 1) / time + 1, native[1] / space,
                                                   native[0] / space};
    // A volume of no more tokens than the model was trained at is one window, whatever its shape.
    const bool larger = clip.latents.cells() > native_cells[0] * native_cells[1] * native_cells[2];
    if (larger) size = native_cells;
  }
  for (std::size_t a = 0; a < 3; ++a) {
    const std::int64_t align = a == 0 ? 1 : 2;
    size[a] = std::clamp<std::int64_t>(size[a], align, std::max(extent[a], align));
    std::int64_t cells = 0;
    if (size[a] < extent[a]) {
      cells = static_cast<std::int64_t>(std::lround(overlap * static_cast<double>(size[a])));
      cells = std::clamp<std::int64_t>(cells / align * align, 0, size[a] - align);
    }
    clip.window.size[a] = size[a];
    clip.window.overlap[a] = cells;
  }
}

}  // namespace weft
