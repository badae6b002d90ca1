#pragma once
// Which windows cover a latent volume, how they blend, and who computes which. Pure values: no MPI.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "weft/grid/box.h"

namespace weft {

/// The windows of one axis: equal sizes (the last ones shifted inwards to end at the extent) and,
/// for each, a weight per cell; at every cell the weights of all windows sum to one.
struct AxisWindows {
  std::vector<Range> ranges;                // ascending begin
  std::vector<std::vector<float>> weights;  // weights[i][cell - ranges[i].begin]
};

/// Covers [0, extent) with windows of `size` that overlap by at least `overlap` cells, origins at
/// multiples of `align` (2 for rows and columns: a patch is 2 x 2 cells). size >= extent gives one
/// window. Ramps rise linearly over the overlap: cell k of an overlap of n weighs (k + 1) / (n + 1)
/// before normalisation, so that every weight is positive. Errors (InputError): size <= overlap,
/// size or overlap not a multiple of align.
AxisWindows cover_axis(std::int64_t extent, std::int64_t size, std::int64_t overlap,
                       std::int64_t align);

/// What windows a job has: the product of its axes, ordered frames-major, then rows, then columns.
struct WindowPlan {
  Box volume;
  std::array<AxisWindows, 3> axes;
  struct Window {
    Box box;
    std::array<int, 3> index;  // position along each axis
  };
  std::vector<Window> windows;

  /// Blend weights of window `w` along `axis`, one per cell of its box.
  [[nodiscard]] std::span<const float> weights(int w, int axis) const;
};

struct WindowSize {
  std::array<std::int64_t, 3> size;     // latent cells (frames, rows, cols)
  std::array<std::int64_t, 3> overlap;  // latent cells
};

/// Cells by which windows are moved along each axis (frames, rows, columns).
using WindowShift = std::array<std::int64_t, 3>;

/// The windows of `window` over `volume`. With a shift, origins along an axis of several windows
/// are 0, then shift, shift + stride, ... (stride = size - overlap), the last shifted inwards: each
/// window keeps its full size, neighbours overlap by at least `overlap`, and there may be one more
/// of them than without. An axis of one window is not moved.
/// Errors (InputError): as cover_axis, all axes at once. 0 <= shift < stride, whole patches.
WindowPlan make_window_plan(const Box& volume, const WindowSize& window,
                            const WindowShift& shift = {});

/// The shift of step `step` (from 0), so that seams keep moving and come about equally often to
/// every place of a stride: the Halton sequence (Halton 1960; bases 2, 3, 5 for the axes of several
/// windows in order) times the stride, rounded down to whole patches. Step 0 is not shifted. A
/// function of its arguments alone, in integers: the same on every machine.
/// Errors (InputError): as make_window_plan.
WindowShift window_shift(const Box& volume, const WindowSize& window, int step);

/// Windows that share cells with `window`, itself included, ascending: the order of blending.
std::vector<int> overlapping_windows(const WindowPlan& plan, int window);

/// owner[w] = rank that denoises window w: contiguous runs of windows, balanced by `cost` (one
/// entry per window) so that the largest rank's sum is minimal. Ranks beyond the windows get none.
std::vector<int> assign_windows(std::span<const double> cost, int ranks);

/// One box that travels: cells `box` of item `from_item` on rank `from_rank` go to item `to_item`
/// on rank `to_rank`. Items are whatever the two sides agree on: windows, decode chunks, the
/// volume.
struct Transfer {
  int from_rank, to_rank;
  int from_item, to_item;
  Box box;
};
using TransferPlan = std::vector<Transfer>;

/// Every step: velocities of window a on a's owner to window b on b's owner, for all overlapping
/// a != b with different owners. Ordered by (to_item, from_item), which both sides rely on.
TransferPlan overlap_plan(const WindowPlan& plan, std::span<const int> owner);

/// Once, before the first step: the volume on rank 0 (from_item 0) to every window.
TransferPlan scatter_plan(const WindowPlan& plan, std::span<const int> owner);

/// Once, after the last step: every cell of every piece, from the lowest-numbered window that holds
/// it. Pieces are what is decoded at a time: latent-frame chunks, or tiles that overlap. Ordered by
/// (to_item, from_item).
TransferPlan gather_plan(const WindowPlan& plan, std::span<const int> owner,
                         std::span<const Box> pieces, std::span<const int> piece_owner);

/// Between steps of different windows: every cell of every window of `to` from the lowest-numbered
/// window of `from` that holds it; from_item counts in `from`, to_item in `to`. What is carried
/// must agree wherever windows of `from` overlap, as blended latents do.
TransferPlan rewindow_plan(const WindowPlan& from, std::span<const int> from_owner,
                           const WindowPlan& to, std::span<const int> to_owner);

/// Latent-frame chunks of the causal decoder: frame 0 alone, then `frames_per_chunk` at a time
/// (spec 6.3), dealt to ranks cyclically: chunk i belongs to rank i % ranks.
std::vector<Range> decode_chunks(std::int64_t latent_frames, std::int64_t frames_per_chunk);
/// The boxes of chunks: all rows and columns of `volume`.
std::vector<Box> chunk_boxes(const Box& volume, std::span<const Range> chunks);
std::vector<int> assign_chunks(std::size_t chunks, int ranks);

}  // namespace weft
