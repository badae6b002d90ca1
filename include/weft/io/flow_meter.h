#pragma once
// Does the picture flicker? The warping error of a clip, a measure of temporal consistency (Lai,
// Huang, Wang, Shechtman, Yumer, Yang: "Learning Blind Video Temporal Consistency", 2018).
//
// For every frame after the first: the mean of (V_t - warp(V_t-1))^2 over the pixels that count and
// R, G, B, values in 0 ... 1, where warp() takes each pixel of V_t from where the optical flow says
// it was in V_t-1, between pixels bilinearly. A pixel counts when it was inside the picture and the
// flows forth and back agree: |w_f + w_b|^2 <= 0.01 (|w_f|^2 + |w_b|^2) + 0.5, w in pixels (Ruder,
// Dosovitskiy, Brox: "Artistic style transfer for videos", 2016; their second rule, which leaves
// out the edges of moving things, is not used). The figure of a clip is the mean over its frames.
//
// What it means: 0 for a still clip; some 1e-6 ... 1e-5 where things move smoothly; k^2 for
// brightness that jumps by k, 2 s^2 for noise of deviation s. It says nothing of whether the motion
// is right, and a blurred or still clip scores well: compare clips of the same prompt and size,
// made with the same version of OpenCV, whose dense inverse search (DIS) finds the flow. Where flow
// cannot be found (cuts, large fast motion) few pixels count; the counted share tells.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace weft {

class FlowMeter {
 public:
  /// What finds the flow, "OpenCV 4.6.0"; "" in a build without it.
  static std::string library();
  /// Without OpenCV there are no meters: the constructor throws Error.
  static bool available() { return !library().empty(); }
  /// The search begins at a quarter of the size, with patches of 8 pixels: of frames with a shorter
  /// side nothing is measured.
  static constexpr std::int64_t smallest_side = 32;

  FlowMeter(std::int64_t width, std::int64_t height);
  ~FlowMeter();
  FlowMeter(FlowMeter&&) noexcept;
  FlowMeter& operator=(FlowMeter&&) noexcept;

  /// Frames come in order, rgb24 [height, width, 3]. Some 30 ms of one core for 832 x 480.
  void add(std::span<const std::uint8_t> rgb);

  /// A frame against the one before it.
  struct Step {
    std::optional<double> error;  // nothing when no pixel counts
    double counted = 0;           // share of the pixels, 0 ... 1
  };
  /// One for every frame but the first.
  [[nodiscard]] const std::vector<Step>& steps() const;
  /// Mean error of the steps that have one; nothing when there is none.
  [[nodiscard]] std::optional<double> warping_error() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
