#include "bench_net_text.h"

#include <algorithm>

#include <fmt/ranges.h>

namespace weft {
namespace {

constexpr double micro = 1e6, giga = 1e9;

std::string time_columns(const RepeatedTime& t) {
  return fmt::format("{:>11.2f} {:>11.2f} {:>11.2f}", t.median * micro, t.least * micro,
                     t.most * micro);
}

}  // namespace

std::string size_text(std::int64_t bytes) {
  const char* units[] = {"B", "kB", "MB", "GB"};
  int unit = 0;
  while (bytes % 1024 == 0 && unit < 3) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{} {}", bytes, units[unit]);
}

std::string bench_net_head(const NetworkReport& report) {
  std::vector<std::string> hosts;
  const std::vector<int> ranks = report.hosts.ranks_on();
  for (std::size_t h = 0; h < ranks.size(); ++h) {
    hosts.push_back(fmt::format("{} ({})", report.hosts.names[h], ranks[h]));
  }
  return fmt::format(
      "ranks      {} on {} host{}: {}\ndevice     {}, {}\nexchanges  {}; {}\nmeasured   {}, weft "
      "{}\n",
      report.hosts.host.size(), hosts.size(), hosts.size() == 1 ? "" : "s", fmt::join(hosts, ", "),
      device_name(report.device), report.device_name, report.transport, report.mpi, report.date,
      WEFT_VERSION);
}

std::string latency_head() {
  return fmt::format(
      "\nLatency: half the time of a round trip of 8 bytes, one pair of ranks at a time\n"
      "  mpi   MPI_Send and MPI_Recv in host memory\n"
      "  link  as tensors travel in a render\n\n"
      "{:<8} {:<5} {:>5} {:>11} {:>11} {:>11}  slowest pair\n",
      "scope", "path", "pairs", "median us", "least us", "most us");
}

std::string latency_row(const NetworkLatency& l) {
  return fmt::format("{:<8} {:<5} {:>5} {}  {} {}\n", scope_name(l.scope), l.path, l.pairs,
                     time_columns(l.seconds), l.slowest[0], l.slowest[1]);
}

std::string exchange_head(const NetworkBenchOptions& options) {
  return fmt::format(
      "\nExchanges among n ranks, B bytes (1 MB = 1024 kB = 1048576 bytes); time of the slowest "
      "rank, {} repeats after {} of warm-up\n"
      "  all-to-all  B: a rank's send buffer, B / n for each rank, its own part not sent:\n"
      "              algorithm bandwidth = B / time, bus bandwidth = algorithm bandwidth (n - 1) / "
      "n\n"
      "  halo        B to each neighbour in a row of ranks: algorithm = bus = min(2, n - 1) B / "
      "time\n"
      "  ring        B to the next rank of a circle: algorithm = bus = B / time\n"
      "  1 GB/s = 10^9 bytes per second, of each rank\n\n"
      "{:<8} {:<11} {:>4} {:>8} {:>11} {:>11} {:>11} {:>15} {:>9}\n",
      options.repeats, options.warm_up, "scope", "pattern", "n", "B", "median us", "least us",
      "most us", "algorithm GB/s", "bus GB/s");
}

std::string exchange_row(const NetworkRow& r) {
  return fmt::format("{:<8} {:<11} {:>4} {:>8} {} {:>15.3f} {:>9.3f}\n", scope_name(r.scope),
                     pattern_name(r.pattern), r.ranks, size_text(r.bytes), time_columns(r.seconds),
                     r.algorithm_bandwidth() / giga, r.bus_bandwidth() / giga);
}

std::string fits_text(const NetworkReport& report) {
  std::string out = fmt::format(
      "\nFit: time = latency + bytes sent by a rank / bandwidth, least squares of relative "
      "residuals\n\n{:<8} {:<11} {:>11} {:>15} {:>10}\n",
      "scope", "pattern", "latency us", "bandwidth GB/s", "rms error");
  double worst = 0;
  for (const NetworkFit& f : fit_network(report.bench)) {
    const bool for_plans = f.pattern == NetworkPattern::all_to_all && f.scope != NetworkScope::all;
    out += fmt::format("{:<8} {:<11} {:>11.2f} {:>15.3f} {:>8.1f} %{}\n", scope_name(f.scope),
                       pattern_name(f.pattern), f.fit.latency * micro, f.fit.bandwidth / giga,
                       f.fit.error * 100, for_plans ? "  for plans" : "");
    worst = std::max(worst, for_plans ? f.fit.error : 0);
  }
  constexpr double much = 0.2;
  if (worst > much) {
    out += fmt::format(
        "\nThe times for plans do not lie on a line ({:.0f} % off): what a plan says of exchanges "
        "is "
        "as uncertain.\n",
        worst * 100);
  }
  return out;
}

}  // namespace weft
