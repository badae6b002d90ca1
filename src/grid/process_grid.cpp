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
