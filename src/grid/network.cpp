#include "weft/grid/network.h"

#include <cmath>

namespace weft {
namespace {

/// latency and seconds per byte.
struct Line {
  double latency, per_byte;
};

double error_of(const Line& line, std::span<const TransferTime> times) {
  double sum = 0;
  for (const TransferTime& t : times) {
    const double residual = (line.latency + line.per_byte * t.bytes - t.seconds) / t.seconds;
    sum += residual * residual;
  }
  return std::sqrt(sum / static_cast<double>(times.size()));
}

}  // namespace

std::optional<LinkSpeed> fit_link(std::span<const TransferTime> times) {
  if (times.empty()) return std::nullopt;
  // Residuals divided by the time: the sums of 1/t, x/t, ... of the normal equations of
  // a (1/t) + b (x/t) = 1.
  double aa = 0, ab = 0, bb = 0, a1 = 0, b1 = 0;
  for (const TransferTime& t : times) {
    if (!(t.bytes > 0 && std::isfinite(t.bytes) && t.seconds > 0 && std::isfinite(t.seconds))) {
      return std::nullopt;
    }
    const double one = 1 / t.seconds, bytes = t.bytes / t.seconds;
    aa += one * one;
    ab += one * bytes;
    bb += bytes * bytes;
    a1 += one;
    b1 += bytes;
  }
  // Through the origin: what remains when the latency cannot be told or would be negative.
  Line line{0, b1 / bb};
  const double determinant = aa * bb - ab * ab;
  if (determinant > 1e-12 * aa * bb) {
    const Line both{(a1 * bb - b1 * ab) / determinant, (aa * b1 - ab * a1) / determinant};
    if (both.per_byte <= 0) return std::nullopt;
    if (both.latency > 0) line = both;
  }
  return LinkSpeed{line.latency, 1 / line.per_byte, error_of(line, times)};
}

MachineSpeed with_network(MachineSpeed assumed, const MeasuredNetwork& measured) {
  if (measured.node) {
    assumed.node_bytes = measured.node->bandwidth;
    assumed.latency = measured.node->latency;
  }
  if (measured.network) {
    assumed.network_bytes = measured.network->bandwidth;
    assumed.network_latency = measured.network->latency;
  }
  if (measured.flops) assumed.flops = *measured.flops;
  return assumed;
}

}  // namespace weft
