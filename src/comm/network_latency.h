#pragma once
// Ping-pong between pairs of ranks, one pair at a time.

#include <vector>

#include "weft/comm/network_bench.h"

namespace weft {

/// Not empty.
RepeatedTime summary_of(std::vector<double> seconds);

/// By both paths, the same on every rank; nothing when the scope has no pairs. Collective over
/// `world`, all ranks of the session.
std::vector<NetworkLatency> measure_latency(const Communicator& world, const HostMap& hosts,
                                            NetworkScope scope, Fabric& fabric, DeviceKind device,
                                            int round_trips);

}  // namespace weft
