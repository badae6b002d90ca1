// Which ranks exchange with which, on hosts that do not exist; and that what is measured arrives.
#include <set>

#include "weft/comm/network_bench.h"

#include "support/mpi_main.h"

namespace weft {
namespace {

using Pairs = std::vector<std::array<int, 2>>;
using Scopes = std::vector<NetworkScope>;

TEST(HostMap, CountsRanksOnHosts) {
  const HostMap map = map_hosts({"b", "a", "b", "b"});
  EXPECT_EQ(map.names, (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(map.host, (std::vector<int>{0, 1, 0, 0}));
  EXPECT_EQ(map.place, (std::vector<int>{0, 0, 1, 2}));
  EXPECT_EQ(map.ranks_on(), (std::vector<int>{3, 1}));
  EXPECT_EQ(groups_of(map, NetworkScope::node), map.host);
  EXPECT_EQ(groups_of(map, NetworkScope::network), map.place);
}

TEST(HostMap, ScopesThatHaveSomethingToExchange) {
  EXPECT_EQ(scopes_of(map_hosts({"a", "a", "a"})), Scopes{NetworkScope::node});
  EXPECT_EQ(scopes_of(map_hosts({"a", "b"})), Scopes{NetworkScope::network});
  EXPECT_EQ(scopes_of(map_hosts({"a", "a", "b", "b"})),
            (Scopes{NetworkScope::node, NetworkScope::network, NetworkScope::all}));
  EXPECT_EQ(scopes_of(map_hosts({"a"})), Scopes{});
}

TEST(HostMap, PairsWithinAndBetweenHosts) {
  const HostMap map = map_hosts({"a", "a", "a", "b", "b", "c"});
  EXPECT_EQ(latency_pairs(map, NetworkScope::node), (Pairs{{0, 1}, {1, 2}, {0, 2}, {3, 4}}));
  EXPECT_EQ(latency_pairs(map, NetworkScope::network), (Pairs{{0, 3}, {3, 5}, {0, 5}}));
  const HostMap many = map_hosts(std::vector<std::string>(100, "a"));
  const Pairs few = latency_pairs(many, NetworkScope::node, 5);
  ASSERT_EQ(few.size(), 5U);
  EXPECT_EQ(few.front(), (std::array<int, 2>{0, 1}));
  EXPECT_EQ(few.back(), (std::array<int, 2>{0, 99}));
}

TEST(NetworkRow, BandwidthsAreThoseOfNcclTests) {
  NetworkRow row{.scope = NetworkScope::node,
                 .pattern = NetworkPattern::all_to_all,
                 .ranks = 4,
                 .groups = 1,
                 .bytes = 4000,
                 .iterations = 1,
                 .seconds = {2, 1, 3}};
  EXPECT_DOUBLE_EQ(row.sent(), 3000);
  EXPECT_DOUBLE_EQ(row.algorithm_bandwidth(), 2000);
  EXPECT_DOUBLE_EQ(row.bus_bandwidth(), 1500);
  row.pattern = NetworkPattern::halo;
  EXPECT_DOUBLE_EQ(row.algorithm_bandwidth(), 4000);
  EXPECT_DOUBLE_EQ(row.bus_bandwidth(), 4000);
  row.ranks = 2;
  EXPECT_DOUBLE_EQ(row.bus_bandwidth(), 2000);
  row.pattern = NetworkPattern::ring;
  EXPECT_DOUBLE_EQ(row.algorithm_bandwidth(), 2000);
}

// Hosts of two ranks each, the last one of a rank more or less.
TEST(MeasureNetwork, EveryPatternInEveryScope) {
  const Communicator world = Communicator::world();
  const HostMap hosts = gather_hosts(world, "host" + std::to_string(world.rank() / 2));
  Fabric fabric(world, DeviceKind::cpu);
  int latencies = 0, rows = 0;
  const NetworkBench bench = measure_network(
      world, hosts, fabric, DeviceKind::cpu,
      {.sizes = {64, 5000}, .repeats = 2, .warm_up = 1, .round_trips = 5, .least_seconds = 0},
      [&](const NetworkLatency&) { ++latencies; }, [&](const NetworkRow&) { ++rows; });
  const Scopes scopes = scopes_of(hosts);
  EXPECT_EQ(bench.rows.size(), scopes.size() * 3 * 2);
  EXPECT_EQ(rows, world.rank() == 0 ? static_cast<int>(bench.rows.size()) : 0);
  EXPECT_EQ(latencies, world.rank() == 0 ? static_cast<int>(bench.latencies.size()) : 0);
  for (const NetworkRow& row : bench.rows) {
    EXPECT_GT(row.seconds.least, 0);
    EXPECT_LE(row.seconds.least, row.seconds.median);
    EXPECT_LE(row.seconds.median, row.seconds.most);
    EXPECT_EQ(world.max(row.seconds.median), row.seconds.median) << "ranks disagree";
    if (row.scope == NetworkScope::all) {
      EXPECT_EQ(row.ranks, world.size());
    }
    if (row.scope == NetworkScope::node) {
      EXPECT_EQ(row.ranks, 2);
      EXPECT_EQ(row.groups, world.size() / 2);
    }
  }
  for (const NetworkLatency& l : bench.latencies) {
    EXPECT_GT(l.seconds.least, 0);
    const auto slowest = [&](int i) {
      return hosts.host[static_cast<std::size_t>(l.slowest[static_cast<std::size_t>(i)])];
    };
    EXPECT_EQ(slowest(0) == slowest(1), l.scope == NetworkScope::node);
  }
}

}  // namespace
}  // namespace weft
