// Which ranks exchange with which in the benchmarks of the network, and what is reckoned from their
// times. No messages here.
#include <algorithm>
#include <map>

#include "weft/base/error.h"
#include "weft/comm/network_bench.h"

namespace weft {

const char* scope_name(NetworkScope scope) {
  switch (scope) {
    case NetworkScope::node:
      return "node";
    case NetworkScope::network:
      return "network";
    case NetworkScope::all:
      return "all";
  }
  return "";
}

const char* pattern_name(NetworkPattern pattern) {
  switch (pattern) {
    case NetworkPattern::all_to_all:
      return "all-to-all";
    case NetworkPattern::halo:
      return "halo";
    case NetworkPattern::ring:
      return "ring";
  }
  return "";
}

double NetworkRow::sent() const {
  const auto b = static_cast<double>(bytes);
  switch (pattern) {
    case NetworkPattern::all_to_all:
      return b * (ranks - 1) / ranks;
    case NetworkPattern::halo:
      return b * std::min(2, ranks - 1);
    case NetworkPattern::ring:
      return b;
  }
  return 0;
}

double NetworkRow::bus_bandwidth() const { return sent() / seconds.median; }

double NetworkRow::algorithm_bandwidth() const {
  return (pattern == NetworkPattern::all_to_all ? static_cast<double>(bytes) : sent()) /
         seconds.median;
}

std::vector<int> HostMap::ranks_on() const {
  std::vector<int> count(names.size());
  for (const int h : host) ++count[static_cast<std::size_t>(h)];
  return count;
}

HostMap map_hosts(const std::vector<std::string>& host_of_rank) {
  HostMap map;
  std::map<std::string, int> known;
  std::vector<int> count;
  for (const std::string& name : host_of_rank) {
    const auto [at, is_new] = known.try_emplace(name, static_cast<int>(map.names.size()));
    if (is_new) {
      map.names.push_back(name);
      count.push_back(0);
    }
    map.host.push_back(at->second);
    map.place.push_back(count[static_cast<std::size_t>(at->second)]++);
  }
  return map;
}

std::vector<int> groups_of(const HostMap& hosts, NetworkScope scope) {
  switch (scope) {
    case NetworkScope::node:
      return hosts.host;
    case NetworkScope::network:
      return hosts.place;
    case NetworkScope::all:
      break;
  }
  return std::vector<int>(hosts.host.size(), 0);
}

std::vector<NetworkScope> scopes_of(const HostMap& hosts) {
  std::vector<NetworkScope> scopes;
  const std::vector<int> on_host = hosts.ranks_on();
  const int most = *std::ranges::max_element(on_host);
  if (most > 1) scopes.push_back(NetworkScope::node);
  if (hosts.names.size() > 1) scopes.push_back(NetworkScope::network);
  if (scopes.size() > 1) scopes.push_back(NetworkScope::all);
  return scopes;
}

std::vector<std::array<int, 2>> latency_pairs(const HostMap& hosts, NetworkScope scope,
                                              std::size_t most) {
  // Ranks in a row: those of each host, or the first of every host.
  std::vector<std::vector<int>> rows;
  if (scope == NetworkScope::node) rows.resize(hosts.names.size());
  if (scope == NetworkScope::network) rows.resize(1);
  for (std::size_t r = 0; r < hosts.host.size(); ++r) {
    if (scope == NetworkScope::node) {
      rows[static_cast<std::size_t>(hosts.host[r])].push_back(static_cast<int>(r));
    } else if (scope == NetworkScope::network && hosts.place[r] == 0) {
      rows.front().push_back(static_cast<int>(r));
    }
  }
  std::vector<std::array<int, 2>> pairs;
  for (const std::vector<int>& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) pairs.push_back({row[i], row[i + 1]});
    if (row.size() > 2) pairs.push_back({row.front(), row.back()});
  }
  if (pairs.size() <= most) return pairs;
  std::vector<std::array<int, 2>> spread;  // evenly, the first and the last among them
  for (std::size_t i = 0; i < most; ++i) {
    spread.push_back(pairs[i * (pairs.size() - 1) / (most - 1)]);
  }
  return spread;
}

}  // namespace weft
