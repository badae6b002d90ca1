#pragma once
// What tests of window and transfer plans share.

#include <cstdint>
#include <numeric>
#include <vector>

#include "weft/grid/windows.h"

namespace weft {

/// Rank counts: every one up to 64, then powers of two and their neighbours up to 4096.
inline std::vector<int> rank_counts() {
  std::vector<int> counts(64);
  std::iota(counts.begin(), counts.end(), 1);
  for (int n = 128; n <= 4096; n *= 2) counts.insert(counts.end(), {n - 1, n, n + 1});
  counts.back() = 4096;
  return counts;
}

inline std::vector<double> cells_of(const WindowPlan& plan) {
  std::vector<double> cost;
  for (const auto& window : plan.windows) cost.push_back(static_cast<double>(window.box.cells()));
  return cost;
}

/// Marks the cells of `box` in a count per cell of the volume.
inline void mark(const Box& volume, const Box& box, std::vector<int>& count) {
  for (std::int64_t t = box.frames().begin; t < box.frames().end; ++t) {
    for (std::int64_t h = box.rows().begin; h < box.rows().end; ++h) {
      for (std::int64_t w = box.cols().begin; w < box.cols().end; ++w) {
        ++count[static_cast<std::size_t>((t * volume.rows().size() + h) * volume.cols().size() +
                                         w)];
      }
    }
  }
}

}  // namespace weft
