#pragma once
// What `weft bench-net` prints.

#include <string>

#include "weft/run/network_file.h"

namespace weft {

/// Ranks, hosts, device, versions, date.
std::string bench_net_head(const NetworkReport& report);
std::string latency_head();
std::string latency_row(const NetworkLatency& latency);
/// The definitions of both bandwidths, and the columns.
std::string exchange_head(const NetworkBenchOptions& options);
std::string exchange_row(const NetworkRow& row);
/// Latency and bandwidth of every pattern, and which of them plans use.
std::string fits_text(const NetworkReport& report);
/// "512 kB" for 524288: powers of 1024.
std::string size_text(std::int64_t bytes);

}  // namespace weft
