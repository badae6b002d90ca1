#include "weft/grid/process_grid.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "weft/base/error.h"
#include "weft/grid/windows.h"

namespace weft {
namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else if (c != ' ') {
      parts.back() += c;
    }
  }
  return parts;
}

int to_count(const std::string& key, const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > 65536) {
    fail_input("{}={}: expected a number of ranks, 1 to 65536", key, text);
  }
  return value;
}

// Longer rings are never the best choice (each step exchanges all keys) and are not tried unasked.
constexpr int longest_ring = 64;

/// Bytes a rank sends for one forward of `tokens`, and in how many exchanges.
struct Exchange {
  double bytes = 0;
  double count = 0;
};

Exchange of_ulysses(const ProcessGrid& g, const GridWork& w, double tokens_here) {
  if (g.ulysses == 1) return {};
  const double width = static_cast<double>(w.heads * w.head_dim) * w.element_bytes;
  const double away = 1 - 1.0 / g.ulysses;
  const auto layers = static_cast<double>(w.layers);
  // q, k, v to the heads' owners, the result back (spec of Ulysses): 4 all-to-alls of a layer.
  return {layers * 4 * tokens_here * width * away, layers * 2};
}

Exchange of_ring(const ProcessGrid& g, const GridWork& w, double tokens_here) {
  if (g.ring == 1) return {};
  // Keys and values of the tokens of a ring position, a rank's share of heads of them, pass on.
  const double width = static_cast<double>(w.heads * w.head_dim) * w.element_bytes;
  const auto layers = static_cast<double>(w.layers);
  return {layers * (g.ring - 1) * 2 * tokens_here * width, layers * (g.ring - 1)};
}

bool fulfils(const ProcessGrid& g, const GridRequest& r) {
  return r.groups.value_or(g.groups) == g.groups && r.cfg.value_or(g.cfg) == g.cfg &&
         r.ulysses.value_or(g.ulysses) == g.ulysses && r.ring.value_or(g.ring) == g.ring;
}

}  // namespace

std::string ProcessGrid::str() const {
  return fmt::format("{} group{} x cfg {} x ulysses {} x ring {}", groups, groups == 1 ? "" : "s",
                     cfg, ulysses, ring);
}

std::optional<GridPlace> place_of(const ProcessGrid& grid, int rank) {
  if (rank < 0 || rank >= grid.ranks()) return std::nullopt;
  GridPlace place{};
  place.ulysses = rank % grid.ulysses;
  rank /= grid.ulysses;
  place.ring = rank % grid.ring;
  rank /= grid.ring;
  place.half = rank % grid.cfg;
  place.group = rank / grid.cfg;
  return place;
}

GridRequest parse_grid(const std::string& text) {
  GridRequest request;
  if (text.empty() || text == "auto") return request;
  for (const std::string& part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    const std::string key = part.substr(0, equals);
    std::optional<int>* field = key == "groups"    ? &request.groups
                                : key == "cfg"     ? &request.cfg
                                : key == "ulysses" ? &request.ulysses
                                : key == "ring"    ? &request.ring
                                                   : nullptr;
    if (field == nullptr || equals == std::string::npos) {
      fail_input("\"{}\" is not one of groups=N, cfg=N, ulysses=N, ring=N, separated by commas",
                 part);
    }
    if (field->has_value()) fail_input("{} is given twice", key);
    *field = to_count(key, part.substr(equals + 1));
  }
  return request;
}

// A core of a server does some 50 GFLOP/s in float32; ranks of one machine meet in memory.
MachineSpeed cpu_speed() { return {1e11, 5e9, 1e9, 50e-6, 0}; }

// Forwards and all-to-alls as measured on H200s (bench/README.md): 650 TFLOP/s in bf16, 960 in fp8,
// 285 GB/s and 34 us between GPUs of a node; 400 Gb/s per GPU between nodes, of which 45 GB/s are
// expected.
MachineSpeed gpu_speed(bool fp8) { return {fp8 ? 9.6e14 : 6.5e14, 2.85e11, 4.5e10, 35e-6, 0.5}; }

StepPrediction predict_step(const ProcessGrid& grid, const GridWork& work,
                            const MachineSpeed& speed) {
  const int branches = work.guided ? 2 : 1;
  const double forwards = static_cast<double>(branches) / grid.cfg;
  const std::vector<int> owner = assign_windows(work.window_flops, grid.groups);
  std::vector<double> compute(static_cast<std::size_t>(grid.groups)), exchange = compute,
                                                                      bytes = compute;
  const double per_node = std::max(1, work.ranks_per_node);
  // Ranks of a forward beyond a node's talk over the network; the ring spans nodes before Ulysses
  // does.
  const double ulysses_rate = grid.ulysses <= per_node ? speed.node_bytes : speed.network_bytes;
  const double ring_rate =
      grid.forward_ranks() <= per_node ? speed.node_bytes : speed.network_bytes;
  for (std::size_t w = 0; w < owner.size(); ++w) {
    const auto group = static_cast<std::size_t>(owner[w]);
    const auto tokens = static_cast<double>(work.window_tokens[w]);
    const double here = std::ceil(tokens / grid.forward_ranks());
    // The largest share of tokens and of heads is what the others wait for.
    const double uneven = here * grid.forward_ranks() / tokens;
    const auto dealt_heads = (work.heads + grid.ulysses - 1) / grid.ulysses * grid.ulysses;
    const double heads = static_cast<double>(dealt_heads) / static_cast<double>(work.heads);
    compute[group] +=
        forwards * work.window_flops[w] * uneven * heads / grid.forward_ranks() / speed.flops;
    const Exchange u = of_ulysses(grid, work, here);
    const Exchange r = of_ring(grid, work, here);
    const double hidden = 1 - speed.overlapped;
    exchange[group] += forwards * (hidden * (u.bytes / ulysses_rate + r.bytes / ring_rate) +
                                   (u.count + r.count) * speed.latency);
    bytes[group] += forwards * (u.bytes + r.bytes);
    // Velocities: features of all tokens gathered (64 per token), then swapped between the halves.
    const double velocity = tokens * 64 * work.element_bytes;
    const double gathered = grid.forward_ranks() > 1 ? velocity : 0;
    const double swapped = grid.cfg > 1 ? 2 * velocity : 0;
    exchange[group] += (forwards * gathered + swapped) / ring_rate;
    bytes[group] += forwards * gathered + swapped;
  }
  StepPrediction step;
  for (std::size_t g = 0; g < compute.size(); ++g) {
    if (compute[g] + exchange[g] <= step.seconds) continue;
    step = {compute[g] + exchange[g], exchange[g], bytes[g]};
  }
  return step;
}

std::string grid_problem(const ProcessGrid& grid, const GridWork& work, int ranks) {
  if (grid.ranks() > ranks) {
    return fmt::format("{} needs {} ranks, and there are {}", grid.str(), grid.ranks(), ranks);
  }
  const auto windows = static_cast<int>(work.window_tokens.size());
  if (grid.groups > windows) {
    return fmt::format("{} groups for {} window{}: a group takes at least one", grid.groups,
                       windows, windows == 1 ? "" : "s");
  }
  if (grid.cfg > 2) return fmt::format("cfg={}: guidance has two branches: use 1 or 2", grid.cfg);
  if (grid.cfg == 2 && !work.guided) return "cfg=2 needs guidance (guidance-scale above 1)";
  if (grid.ulysses > work.heads) {
    return fmt::format("ulysses={}: the transformer has {} heads", grid.ulysses, work.heads);
  }
  const auto fewest = std::min_element(work.window_tokens.begin(), work.window_tokens.end());
  if (grid.forward_ranks() > *fewest) {
    return fmt::format("ulysses={} x ring={}: a window has {} tokens", grid.ulysses, grid.ring,
                       *fewest);
  }
  return "";
}

ProcessGrid choose_grid(const GridRequest& request, const GridWork& work, int ranks,
                        const MachineSpeed& speed) {
  const auto windows = static_cast<int>(work.window_tokens.size());
  ProcessGrid best;
  double best_seconds = 0;
  bool found = false;
  std::string problem;
  const auto consider = [&](const ProcessGrid& grid) {
    if (!fulfils(grid, request)) return;
    if (std::string wrong = grid_problem(grid, work, ranks); !wrong.empty()) {
      if (problem.empty()) problem = wrong;
      return;
    }
    // Heads that do not divide leave ranks idle in every attention: only on request.
    if (work.heads % grid.ulysses != 0 && !request.ulysses) return;
    if (grid.ring > 1 && !work.ring_unasked && !request.ring) return;
    const double seconds = predict_step(grid, work, speed).seconds;
    const bool shorter = !found || seconds < best_seconds * (1 - 1e-9);
    const bool equal = found && seconds <= best_seconds * (1 + 1e-9);
    const bool simpler =
        grid.ring != best.ring ? grid.ring < best.ring : grid.ulysses < best.ulysses;
    if (shorter || (equal && simpler)) {
      best = grid;
      best_seconds = seconds;
      found = true;
    }
  };
  const auto counts = [&](const std::optional<int>& wanted, int most) {
    std::vector<int> list(static_cast<std::size_t>(std::max(1, most)));
    std::iota(list.begin(), list.end(), 1);
    return wanted ? std::vector<int>{*wanted} : list;
  };
  for (const int groups : counts(request.groups, std::min(windows, ranks))) {
    for (const int cfg : counts(request.cfg, 2)) {
      const int forward = ranks / (groups * cfg);
      const int heads = static_cast<int>(std::min<std::int64_t>(work.heads, forward));
      for (const int ulysses : counts(request.ulysses, heads)) {
        for (const int ring : counts(request.ring, std::min(longest_ring, forward / ulysses))) {
          consider({groups, cfg, ulysses, ring});
        }
      }
    }
  }
  if (!found) fail_input("{}", problem.empty() ? "no grid of ranks fits" : problem);
  return best;
}

}  // namespace weft
