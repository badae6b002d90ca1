#pragma once
// Who works on what: the ranks of a job as groups x cfg x ring x ulysses. A group denoises whole
// windows; within it the branches of guidance, and then the tokens of a forward, are shared out.
// Integers only.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weft {

struct ProcessGrid {
  int groups = 1, cfg = 1, ulysses = 1, ring = 1;
  [[nodiscard]] int forward_ranks() const { return ulysses * ring; }
  [[nodiscard]] int group_ranks() const { return cfg * ulysses * ring; }
  /// Ranks that denoise; a job may have more, which then only decode.
  [[nodiscard]] int ranks() const { return groups * group_ranks(); }
  [[nodiscard]] std::string str() const;  // "4 groups x cfg 2 x ulysses 2 x ring 1"
  friend bool operator==(const ProcessGrid&, const ProcessGrid&) = default;
};

/// Place of a rank: rank = ((group cfg + half) ring + r) ulysses + u, so that the ranks that talk
/// most (ulysses) are neighbours, most likely on one node.
struct GridPlace {
  int group, half, ring, ulysses;
};
/// Nothing for a rank beyond grid.ranks().
std::optional<GridPlace> place_of(const ProcessGrid& grid, int rank);

/// "cfg=2,ulysses=2,ring=1" (any order, any part absent: decided automatically), as typed by the
/// user.
struct GridRequest {
  std::optional<int> groups, cfg, ulysses, ring;
  friend bool operator==(const GridRequest&, const GridRequest&) = default;
};
/// InputError: what is wrong with the text. "auto" and "" ask for nothing.
GridRequest parse_grid(const std::string& text);

/// What window `from` sends to window `to` in a step when their owners are different groups.
struct WindowOverlap {
  int from, to;
  double bytes;
};

/// What the choice depends on.
struct GridWork {
  std::vector<std::int64_t> window_tokens;  // by window
  std::int64_t heads = 1, head_dim = 1, layers = 1;
  std::vector<double> window_flops;          // one forward of each window
  std::vector<WindowOverlap> overlaps = {};  // of windows that share cells; {}: none travel
  bool guided = true;
  double element_bytes = 2;  // of activations on their way
  double ring_bytes = 2;     // of a number of the keys and values that travel around a ring
  int ranks_per_node = 1;
  bool ring_unasked =
      true;  // false: a ring, which agrees to rounding only, is not chosen by itself
};

/// What the machine is taken to do; the figures are printed with the plan.
struct MachineSpeed {
  double flops = 1e11;             // per second and rank, sustained in a forward
  double node_bytes = 1e10;        // sent per second and rank, within a node
  double network_bytes = 5e9;      // sent per second and rank, between nodes
  double latency = 20e-6;          // seconds per exchange within a node
  double network_latency = 50e-6;  // seconds per exchange between nodes
  double memory_bytes = 1e10;      // read and written per second: copies of what travels
  double waiting = 0;      // part by which several ranks compute longer than one: they wait for the
                           // slowest
  double ring = 0;         // part by which attention in the pieces of a ring takes longer
  double ring_hidden = 0;  // part of its attention beside which a ring within a node can transfer
};
MachineSpeed cpu_speed();
/// H200s with NVLink within a node and 400 Gb/s per GPU between nodes, as measured on four of one
/// node (bench/README.md, "Many GPUs"); forward speed by precision.
MachineSpeed gpu_speed(bool fp8);

/// Predicted seconds of one step (all windows, both branches) and what of it is exchange.
struct StepPrediction {
  double seconds = 0, exchange_seconds = 0;
  double bytes_per_rank = 0;  // sent by the busiest rank
};
StepPrediction predict_step(const ProcessGrid& grid, const GridWork& work,
                            const MachineSpeed& speed);

/// Why a grid cannot be used for the work, or "": more ranks than there are, more groups than
/// windows, cfg without guidance or other than 1 and 2, more ulysses ranks than heads, more ranks
/// than tokens.
std::string grid_problem(const ProcessGrid& grid, const GridWork& work, int ranks);

/// The grid of at most `ranks` ranks with the shortest predicted step that fulfils `request` (ties:
/// fewer ring, then fewer ulysses, ranks). Heads are dealt evenly where that is possible.
/// InputError when nothing fulfils it: says why.
ProcessGrid choose_grid(const GridRequest& request, const GridWork& work, int ranks,
                        const MachineSpeed& speed);

}  // namespace weft
