#include "bench_net_command.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>

#include <fmt/chrono.h>
#include <fmt/ranges.h>

#include "weft/device/device_api.h"
#include "weft/device/device_link.h"
#include "weft/io/atomic_file.h"
#include "weft/ops/ops.h"
#include "weft/run/engine.h"
#include "weft/run/network_file.h"

#include "bench_net_text.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

// A rank holds a send buffer of B and space for two messages of B.
constexpr double buffers = 3;
constexpr double share_of_memory = 0.5;

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

bool on_gpus(const BenchNetArguments& a) {
  return a.device == "cuda" || (a.device == "auto" && cuda_absent_reason().empty());
}

/// The processor's name as the kernel reports it.
std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Bytes that this rank may take: free ones of its GPU, or its share of what the host has left.
double free_memory(bool gpu, const Session& session) {
  if (gpu) return static_cast<double>(cuda_device_api()->memory().free);
  std::ifstream info("/proc/meminfo");
  double kilobytes = 0;
  for (std::string word; info >> word && word != "MemAvailable:";) {
  }
  if (!(info >> kilobytes)) fail("/proc/meminfo does not tell how much memory is available");
  return kilobytes * 1024 / session.local_size();
}

void check(const BenchNetArguments& a, const Session& session, Problems& problems) {
  if (session.size() < 2) {
    problems.add(
        "bench-net: measures between ranks, and this is one: start it as mpirun -n 2 weft "
        "bench-net, on a cluster with srun");
  }
  if (a.device == "cuda" && !cuda_absent_reason().empty()) {
    problems.add("device: cuda was asked for, but {}", cuda_absent_reason());
  } else if (on_gpus(a) && gpu_share(session).shared && !a.oversubscribe) {
    problems.add(
        "device: {} ranks on {} and {} GPU{} visible there: start one rank per GPU, or measure the "
        "way through host memory with --oversubscribe",
        session.local_size(), session.host(), gpu_share(session).gpus,
        gpu_share(session).gpus == 1 ? " is" : "s are");
  }
  if (!a.output.empty() && session.rank() == 0) {
    try {
      static_cast<void>(AtomicPath(a.output));
    } catch (const Error& e) {
      problems.add("output: {}", e.what());
    }
  }
}

/// The sizes that fit into every rank's memory and can be dealt to the ranks; the others are told.
std::vector<std::int64_t> sizes_that_fit(const BenchNetArguments& a, const Communicator& world,
                                         double free) {
  const double least_free = -world.max(-free);
  std::vector<std::int64_t> sizes, left_out;
  const std::string wanted = a.sizes.empty() ? default_sizes(on_gpus(a)) : a.sizes;
  for (const std::int64_t bytes : parse_sizes(wanted)) {
    const bool fits = buffers * static_cast<double>(bytes) <= share_of_memory * least_free;
    (fits && bytes >= world.size() ? sizes : left_out).push_back(bytes);
  }
  if (sizes.empty()) {
    fail_input(
        "sizes: none of {} can be measured: each needs a byte for every rank, and {:g} times its "
        "bytes within half of the free memory of a rank, {:.3g} GB",
        wanted, buffers, least_free / 1e9);
  }
  if (!left_out.empty() && world.rank() == 0) {
    std::vector<std::string> texts;
    for (const std::int64_t bytes : left_out) texts.push_back(size_text(bytes));
    print(
        fmt::format("left out   {}: the ranks' memory is too small ({:.3g} GB free), or a rank "
                    "would get no byte\n",
                    fmt::join(texts, ", "), least_free / 1e9));
  }
  return sizes;
}

NetworkReport make_report(const BenchNetArguments& a, const Communicator& world,
                          const Session& session) {
  NetworkReport report;
  report.date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  report.device = on_gpus(a) ? DeviceKind::cuda : DeviceKind::cpu;
  report.mpi = first_line(session.library_version());
  report.hosts = gather_hosts(world, session.host());
  report.forward_speed = parse_forward_speed(a.forward_speed);
  if (report.device == DeviceKind::cpu) {
    report.device_name = processor();
    report.transport = "MPI";
    return report;
  }
  report.device_name = make_cuda_ops(gpu_share(session).index, Precision::bf16)->describe();
  const bool shared = world.max(gpu_share(session).shared ? 1 : 0) > 0;
  report.transport = shared ? "MPI by way of host memory" : device_link_transport();
  return report;
}

std::string plan_of(const NetworkReport& report, const fs::path& output) {
  std::string out;
  for (const NetworkScope scope : scopes_of(report.hosts)) {
    std::vector<int> ranks;
    const std::vector<int> groups = groups_of(report.hosts, scope);
    for (const int g : groups) {
      ranks.resize(std::max(ranks.size(), static_cast<std::size_t>(g) + 1));
      ++ranks[static_cast<std::size_t>(g)];
    }
    out += fmt::format("{:<10} {} group{} of up to {} ranks, {} pairs for the latency\n",
                       scope_name(scope), ranks.size(), ranks.size() == 1 ? "" : "s",
                       *std::ranges::max_element(ranks), latency_pairs(report.hosts, scope).size());
  }
  std::vector<std::string> sizes;
  for (const std::int64_t bytes : report.options.sizes) sizes.push_back(size_text(bytes));
  out += fmt::format("sizes      {}\n", fmt::join(sizes, ", "));
  out += fmt::format("repeats    {} after {} of warm-up\n", report.options.repeats,
                     report.options.warm_up);
  return out + fmt::format("output     {}\n", output.empty() ? "none" : output.string());
}

}  // namespace

int bench_net_command(const Arguments& arguments, const Problems& found, const Session& session) {
  const BenchNetArguments& a = arguments.bench_net;
  const Communicator world = Communicator::world();
  Problems problems = found;
  check(a, session, problems);
  throw_if_any_rank_has_problems(world, problems);
  NetworkReport report = make_report(a, world, session);
  const bool first = world.rank() == 0;
  if (first) print(bench_net_head(report));
  report.options.sizes =
      sizes_that_fit(a, world, free_memory(report.device == DeviceKind::cuda, session));
  report.options.repeats = a.repeats;
  report.options.warm_up = a.warm_up;
  if (a.dry_run) {
    if (first) print(plan_of(report, a.output));
    return 0;
  }
  Fabric fabric(world, report.device);
  bool exchanges = false;
  if (first) print(latency_head());
  report.bench = measure_network(
      world, report.hosts, fabric, report.device, report.options,
      [](const NetworkLatency& l) { print(latency_row(l)); },
      [&](const NetworkRow& row) {
        if (!exchanges) print(exchange_head(report.options));
        exchanges = true;
        print(exchange_row(row));
      });
  if (!first) return 0;
  print(fits_text(report));
  if (!a.output.empty()) {
    write_network_file(a.output, report);
    print(fmt::format("\nfile    {}: weft plan --network {}\n", a.output.string(),
                      a.output.string()));
  }
  return 0;
}

}  // namespace weft
