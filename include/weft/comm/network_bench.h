#pragma once
// Times of exchanges between ranks, through the path that renders take (TensorLink: NCCL between
// GPUs, MPI between CPU ranks). Without all-reduce, which no render uses.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "weft/comm/communicator.h"
#include "weft/comm/fabric.h"

namespace weft {

/// Which ranks exchange, all such groups at once: those of every host; those at the same place on
/// every host; all.
enum class NetworkScope : std::uint8_t { node, network, all };
enum class NetworkPattern : std::uint8_t { all_to_all, halo, ring };
inline constexpr std::array network_patterns{NetworkPattern::all_to_all, NetworkPattern::halo,
                                             NetworkPattern::ring};
const char* scope_name(NetworkScope scope);        // "node", "network", "all"
const char* pattern_name(NetworkPattern pattern);  // "all-to-all", "halo", "ring"

/// Seconds: of the slowest rank, over the repeats.
struct RepeatedTime {
  double median = 0, least = 0, most = 0;
};

/// One pattern at one size B, in n ranks (of the largest group). Bandwidths as nccl-tests defines
/// them; bytes per second.
///   all-to-all  B: a rank's send buffer, B / n of it for each rank; its own part is not sent.
///               algorithm = B / time, bus = algorithm (n - 1) / n
///   halo        B to each neighbour in a row of ranks. algorithm = bus = min(2, n - 1) B / time
///   ring        B to the next rank of a circle. algorithm = bus = B / time
struct NetworkRow {
  NetworkScope scope;
  NetworkPattern pattern;
  int ranks = 0, groups = 0;
  std::int64_t bytes = 0;             // B
  int iterations = 0;                 // exchanges in a row, per repeat
  RepeatedTime seconds = {};          // of one exchange
  [[nodiscard]] double sent() const;  // bytes by the busiest rank
  [[nodiscard]] double algorithm_bandwidth() const;
  [[nodiscard]] double bus_bandwidth() const;
};

/// Half the time of a round trip of 8 bytes, one pair of ranks at a time.
struct NetworkLatency {
  NetworkScope scope;  // node or network
  const char* path;    // "mpi": MPI_Send and MPI_Recv in host memory; "link": TensorLink
  int pairs = 0;
  RepeatedTime seconds = {};        // over the pairs
  std::array<int, 2> slowest = {};  // ranks
};

/// Where ranks are: the host and the place on it of every rank.
struct HostMap {
  std::vector<std::string> names;                   // of hosts, in the order of their lowest rank
  std::vector<int> host, place;                     // by rank
  [[nodiscard]] std::vector<int> ranks_on() const;  // how many, by host
};
HostMap map_hosts(const std::vector<std::string>& host_of_rank);
/// Collective: every rank names its host.
HostMap gather_hosts(const Communicator& world, const std::string& host);

/// Scopes in which some group has two ranks, without one that has the same groups as an earlier
/// one.
std::vector<NetworkScope> scopes_of(const HostMap& hosts);
/// The group of every rank in a scope; groups count from 0.
std::vector<int> groups_of(const HostMap& hosts, NetworkScope scope);
/// Pairs whose latency is measured, at most `most`: neighbours on a host and its first with its
/// last rank; the first ranks of neighbouring hosts and of the first and last host.
std::vector<std::array<int, 2>> latency_pairs(const HostMap& hosts, NetworkScope scope,
                                              std::size_t most = 16);

struct NetworkBenchOptions {
  std::vector<std::int64_t> sizes;  // B, ascending; at least the ranks of a group
  int repeats = 9, warm_up = 2;
  int round_trips = 1000;       // of a latency
  double least_seconds = 0.01;  // of a repeat: short exchanges are done several times in a row
};

struct NetworkBench {
  std::vector<NetworkLatency> latencies;
  std::vector<NetworkRow> rows;
};
/// The same on every rank. Collective over `world`, all ranks of the session. `told`: called on
/// rank 0 with each row as it comes. Error when something else arrives than was sent.
NetworkBench measure_network(const Communicator& world, const HostMap& hosts, Fabric& fabric,
                             DeviceKind device, const NetworkBenchOptions& options,
                             const std::function<void(const NetworkLatency&)>& told_latency,
                             const std::function<void(const NetworkRow&)>& told_row);

}  // namespace weft
