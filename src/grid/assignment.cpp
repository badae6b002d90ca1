// Who computes which windows and decodes which chunks.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/base/error.h"
#include "weft/grid/windows.h"

namespace weft {
namespace {

/// Deals windows in order; a rank's run ends before its sum would exceed `bound`, or when every
/// rank after it needs one of the windows left. Empty when `bound` is too small.
std::vector<int> deal(std::span<const double> cost, std::size_t ranks, double bound) {
  std::vector<int> owner;
  std::size_t rank = 0;
  double sum = 0;
  for (std::size_t w = 0; w < cost.size(); ++w) {
    const bool begun = w > 0 && owner.back() == static_cast<int>(rank);
    if (begun && (sum + cost[w] > bound || cost.size() - w == ranks - rank - 1)) {
      ++rank;
      sum = 0;
    }
    sum += cost[w];
    if (rank == ranks || sum > bound) return {};
    owner.push_back(static_cast<int>(rank));
  }
  return owner;
}

}  // namespace

std::vector<int> assign_windows(std::span<const double> cost, int ranks) {
  WEFT_ASSERT(ranks >= 1, "{} ranks", ranks);
  for (const double c : cost) WEFT_ASSERT(std::isfinite(c) && c >= 0, "cost {}", c);
  if (cost.empty()) return {};
  const auto used = std::min(static_cast<std::size_t>(ranks), cost.size());

  // Bisection on the largest rank's sum, until no double lies between: the exact minimum.
  double low = 0;  // a bound below the largest window or the mean cannot do
  double high = std::accumulate(cost.begin(), cost.end(), 0.0);
  std::vector<int> best = deal(cost, used, high);
  WEFT_ASSERT(best.size() == cost.size(), "{} of {} windows dealt", best.size(), cost.size());
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return best;
    if (auto owner = deal(cost, used, middle); owner.empty()) {
      low = middle;
    } else {
      best = std::move(owner);
      high = middle;
    }
  }
}

std::vector<Range> decode_chunks(std::int64_t latent_frames, std::int64_t frames_per_chunk) {
  WEFT_ASSERT(latent_frames >= 1 && frames_per_chunk >= 1, "{} latent frames, {} per chunk",
              latent_frames, frames_per_chunk);
  std::vector<Range> chunks{{0, 1}};
  for (std::int64_t begin = 1; begin < latent_frames; begin += frames_per_chunk) {
    chunks.push_back({begin, std::min(begin + frames_per_chunk, latent_frames)});
  }
  return chunks;
}

std::vector<int> assign_chunks(std::size_t chunks, int ranks) {
  WEFT_ASSERT(ranks >= 1, "{} ranks", ranks);
  std::vector<int> owner;
  for (std::size_t i = 0; i < chunks; ++i) {
    owner.push_back(static_cast<int>(i % static_cast<std::size_t>(ranks)));
  }
  return owner;
}

}  // namespace weft
