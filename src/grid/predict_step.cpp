// How long a step takes on a grid of ranks: compute by speed, exchange by bytes and bandwidth.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/grid/process_grid.h"
#include "weft/grid/windows.h"

namespace weft {
namespace {

/// Seconds per byte that a rank sends, and per exchange.
struct Path {
  double per_byte, latency;
};

/// Where exchanges among runs of neighbouring ranks go.
class Paths {
 public:
  Paths(const ProcessGrid& grid, int ranks_per_node, const MachineSpeed& speed)
      : ranks_(grid.ranks()), per_node_(std::max(1, ranks_per_node)), speed_(speed) {}

  /// Everyone of a run of `ranks` sends the same to everyone else: what stays on the node and what
  /// leaves it travel at the same time.
  [[nodiscard]] Path all_to_all(int ranks) const {
    if (on_one_node(ranks)) return node();
    // Of the rank with the fewest neighbours on its node.
    const double here = std::gcd(ranks, per_node_);
    const double away = (ranks - here) / (ranks - 1.0);
    return {std::max((1 - away) / speed_.node_bytes, away / speed_.network_bytes),
            speed_.network_latency};
  }
  /// Pairs among a run of `ranks`, all at once; who has the slowest path is waited for.
  [[nodiscard]] Path pairs(int ranks) const {
    return on_one_node(ranks) ? node() : Path{1 / speed_.network_bytes, speed_.network_latency};
  }
  [[nodiscard]] bool on_one_node(int ranks) const {
    return ranks_ <= per_node_ || per_node_ % ranks == 0;
  }

 private:
  [[nodiscard]] Path node() const { return {1 / speed_.node_bytes, speed_.latency}; }

  int ranks_, per_node_;
  const MachineSpeed& speed_;
};

/// What a rank does beside computing: bytes it sends, exchanges it waits for, bytes it reads and
/// writes only because of them.
struct Exchange {
  double bytes = 0, count = 0, copied = 0;
};

Exchange of_ulysses(const ProcessGrid& g, const GridWork& w, double tokens_here) {
  if (g.ulysses == 1) return {};
  const double features = static_cast<double>(w.heads * w.head_dim) * w.element_bytes * tokens_here;
  const double away = 1 - 1.0 / g.ulysses;
  const auto layers = static_cast<double>(w.layers);
  // q, k, v to the heads' owners, the result back (spec of Ulysses): 4 all-to-alls of a layer, in
  // two parts of the heads (parallel/context_parallel.h) where a rank has two. Each of the four is
  // copied once, on one of the sides.
  const double parts = w.heads / g.ulysses >= 2 ? 2 : 1;
  return {layers * 4 * features * away, layers * 2 * parts, layers * 4 * 2 * features};
}

Exchange of_ring(const ProcessGrid& g, const GridWork& w, double tokens_here) {
  if (g.ring == 1) return {};
  // Keys and values of the tokens of a ring position, a rank's share of heads of them, pass on; the
  // result so far is read and written again.
  const double features = static_cast<double>(w.heads * w.head_dim) * tokens_here;
  const double hops = static_cast<double>(w.layers) * (g.ring - 1);
  return {hops * 2 * features * w.ring_bytes, hops, hops * 2 * features * w.element_bytes};
}

}  // namespace

// A core of a server does some 50 GFLOP/s in float32; ranks of one machine meet in memory.
MachineSpeed cpu_speed() {
  return {.flops = 1e11,
          .node_bytes = 5e9,
          .network_bytes = 1e9,
          .latency = 50e-6,
          .network_latency = 50e-6,
          .memory_bytes = 1e10,
          .waiting = 0,
          .ring = 0,
          .ring_hidden = 0};
}

// bench/README.md, "Many GPUs": a step of the three models at 666 to 682 TFLOP/s in bf16, forwards
// at 1000 in fp8; copies between two GPUs of a host at 235 GB/s and from 20 us on, within one
// at 4.27 TB/s. CFG halves, which exchange next to nothing, lose 0.3 to 1 %. What Ulysses loses
// beside that is as much as its transfers and copies take without any overlap; the transfers of a
// ring hide behind its attention, which takes 4.5 % longer, and 9 % in fp8, where it is shorter and
// queries, keys and values are brought to e4m3 apart. Of 400 Gb/s 45 GB/s are expected.
MachineSpeed gpu_speed(bool fp8) {
  return {.flops = fp8 ? 1e15 : 6.65e14,
          .node_bytes = 2.35e11,
          .network_bytes = 4.5e10,
          .latency = 20e-6,
          .network_latency = 35e-6,
          .memory_bytes = 4.27e12,
          .waiting = 0.01,
          .ring = fp8 ? 0.09 : 0.045,
          .ring_hidden = 1};
}

StepPrediction predict_step(const ProcessGrid& grid, const GridWork& work,
                            const MachineSpeed& speed) {
  const int branches = work.guided ? 2 : 1;
  const double forwards = static_cast<double>(branches) / grid.cfg;
  const std::vector<int> owner = assign_windows(work.window_flops, grid.groups);
  std::vector<double> compute(static_cast<std::size_t>(grid.groups)), exchange = compute,
                                                                      bytes = compute;
  const Paths paths(grid, work.ranks_per_node, speed);
  const Path ulysses = paths.all_to_all(grid.ulysses);
  const Path ring = paths.pairs(grid.forward_ranks());
  const Path gather = paths.all_to_all(grid.forward_ranks());
  const Path halves = paths.pairs(grid.group_ranks());
  const Path groups = paths.pairs(grid.ranks());
  const double waiting = grid.ranks() > 1 ? 1 + speed.waiting : 1;
  for (std::size_t w = 0; w < owner.size(); ++w) {
    const auto group = static_cast<std::size_t>(owner[w]);
    const auto tokens = static_cast<double>(work.window_tokens[w]);
    const double here = std::ceil(tokens / grid.forward_ranks());
    // The largest share of tokens and of heads is what the others wait for.
    const double uneven = here * grid.forward_ranks() / tokens;
    const auto dealt_heads = (work.heads + grid.ulysses - 1) / grid.ulysses * grid.ulysses;
    const double heads = static_cast<double>(dealt_heads) / static_cast<double>(work.heads);
    // Products of queries with keys and of weights with values, 2 operations each.
    const double attention =
        4 * tokens * tokens * static_cast<double>(work.heads * work.head_dim * work.layers);
    const double flops = work.window_flops[w] + (grid.ring > 1 ? speed.ring * attention : 0);
    compute[group] +=
        forwards * flops * uneven * heads / grid.forward_ranks() / speed.flops * waiting;
    const Exchange u = of_ulysses(grid, work, here);
    const Exchange r = of_ring(grid, work, here);
    // A ring's transfers run beside the attention of all blocks but the last.
    const double beside = paths.on_one_node(grid.forward_ranks())
                              ? speed.ring_hidden * attention / grid.forward_ranks() *
                                    (grid.ring - 1) / grid.ring / speed.flops
                              : 0;
    const double ring_seconds = std::max(0.0, r.bytes * ring.per_byte - beside);
    exchange[group] += forwards * (u.bytes * ulysses.per_byte + ring_seconds +
                                   (u.copied + r.copied) / speed.memory_bytes +
                                   u.count * ulysses.latency + r.count * ring.latency);
    bytes[group] += forwards * (u.bytes + r.bytes);
    // Velocities: features of all tokens gathered (64 per token), then swapped between the halves.
    const double velocity = tokens * 64 * work.element_bytes;
    if (grid.forward_ranks() > 1) {
      exchange[group] += forwards * (velocity * gather.per_byte + gather.latency);
      bytes[group] += forwards * velocity;
    }
    if (grid.cfg > 1) {
      exchange[group] += 2 * velocity * halves.per_byte + halves.latency;
      bytes[group] += 2 * velocity;
    }
  }
  if (grid.groups > 1 && !work.overlaps.empty()) {
    // Each rank of a group sends the same to its counterparts in other groups.
    for (const WindowOverlap& o : work.overlaps) {
      const int from = owner[static_cast<std::size_t>(o.from)];
      if (from == owner[static_cast<std::size_t>(o.to)]) continue;
      exchange[static_cast<std::size_t>(from)] += o.bytes * groups.per_byte;
      bytes[static_cast<std::size_t>(from)] += o.bytes;
    }
    for (double& seconds : exchange) seconds += groups.latency;
  }
  StepPrediction step;
  for (std::size_t g = 0; g < compute.size(); ++g) {
    if (compute[g] + exchange[g] <= step.seconds) continue;
    step = {compute[g] + exchange[g], exchange[g], bytes[g]};
  }
  return step;
}

}  // namespace weft
