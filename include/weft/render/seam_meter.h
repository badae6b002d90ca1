#pragma once
// Do windows show? The mean step of pixel values across the edges of windows, over the mean step
// elsewhere, along columns, rows and time: 1 means that edges cannot be told from the rest.
// Window edges lie between latent cells, and the autoencoder may leave a grid of cells of its own,
// so "elsewhere" is the other edges between latent cells: like is compared with like.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "weft/render/plan.h"

namespace weft {

/// Edges in pixels and frames: edge e lies between positions e - 1 and e.
struct Seams {
  std::vector<std::int64_t> frames, rows, cols;
  std::int64_t frames_per_cell = 1, pixels_per_cell = 1;  // of latent cells, see above
};
/// Where windows (and decode tiles) begin or end inside the clip.
Seams seams_of(const RenderPlan& plan, const ModelFolder& model);

class SeamMeter {
 public:
  SeamMeter(Seams seams, std::int64_t width, std::int64_t height);
  /// Frames come in order, rgb24 [height, width, 3].
  void add(std::span<const std::uint8_t> rgb);

  /// Ratio along frames, rows, columns; nothing where there is no seam.
  struct Figure {
    std::optional<double> frames, rows, cols;
    /// The largest of those present; nothing when the clip is one window.
    [[nodiscard]] std::optional<double> worst() const;
  };
  [[nodiscard]] Figure figure() const;

 private:
  struct Sum {
    double steps = 0;
    std::int64_t count = 0;
  };
  struct Axis {
    std::vector<char> is_seam;  // by position
    Sum seam, elsewhere;
    [[nodiscard]] std::optional<double> ratio() const;
  };
  std::int64_t width_, height_, index_ = 0;
  Seams seams_;
  Axis rows_, cols_, time_;
  std::vector<std::uint8_t> previous_;
};

}  // namespace weft
