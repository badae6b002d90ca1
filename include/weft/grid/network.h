#pragma once
// The network between ranks as the planner knows it: a latency and a bandwidth, fitted to measured
// times of exchanges (`weft bench-net`). Pure values.

#include <optional>
#include <span>
#include <string>

#include "weft/grid/process_grid.h"

namespace weft {

/// seconds = latency + bytes / bandwidth.
struct LinkSpeed {
  double latency = 0;    // seconds per exchange
  double bandwidth = 0;  // bytes per second that a rank sends
  double error = 0;      // of the fit: root mean square of (fitted - measured) / measured
};

/// One measured exchange: bytes that the busiest rank sends, and the time until all are done.
struct TransferTime {
  double bytes, seconds;
};

/// Least squares of the relative residuals, so that 64 kB count as much as 512 MB. A latency that
/// would come out negative is 0, and the bandwidth is fitted alone; so with a single size.
/// Nothing when there are no times, one is not positive and finite, or time does not grow with
/// bytes.
std::optional<LinkSpeed> fit_link(std::span<const TransferTime> times);

/// What a network file (run/network_file.h) tells the planner.
struct MeasuredNetwork {
  std::string source;                // "network.json, 2026-11-27, 4 ranks of 1 host"
  std::optional<LinkSpeed> node;     // between ranks of a node
  std::optional<LinkSpeed> network;  // between nodes
  std::optional<double> flops;       // per second and rank, sustained in a forward
};

/// `assumed` with what was measured in its place.
MachineSpeed with_network(MachineSpeed assumed, const MeasuredNetwork& measured);

}  // namespace weft
