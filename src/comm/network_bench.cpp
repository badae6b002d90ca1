#include "weft/comm/network_bench.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "weft/base/activity.h"
#include "weft/base/error.h"
#include "weft/base/stages.h"

#include "network_latency.h"

namespace weft {
namespace {

/// The byte that every message of a rank consists of.
int mark_of(int rank) { return rank % 251 + 1; }

Tensor filled(std::int64_t bytes, int mark, DeviceKind device) {
  const Tensor t = Tensor::empty({bytes}, DType::u8);
  std::memset(t.raw(), mark, t.bytes());
  return t.to(device);
}

/// The ranks of one group and their buffers, which serve all patterns and sizes.
class Group {
 public:
  /// `most`: the largest B. Collective over `group`.
  Group(const Communicator& group, Fabric& fabric, DeviceKind device, std::int64_t most)
      : link_(fabric.link(group)),
        send_(filled(most, mark_of(group.rank()), device)),
        receive_(filled(2 * most, 0, device)) {}

  void prepare(NetworkPattern pattern, std::int64_t bytes) {
    sends_.clear();
    receives_.clear();
    const int n = link_->size(), me = link_->rank();
    if (n == 1) return;
    switch (pattern) {
      case NetworkPattern::all_to_all: {
        const std::int64_t part = bytes / n;
        // The next rank first: otherwise all would begin with rank 0.
        for (int i = 1; i < n; ++i) {
          const int to = (me + i) % n, from = (me + n - i) % n;
          sends_.push_back({send_.slice(to * part, (to + 1) * part), to});
          receives_.push_back({receive_.slice(from * part, (from + 1) * part), from});
        }
        break;
      }
      case NetworkPattern::halo:
        for (const int peer : {me - 1, me + 1}) {
          if (peer < 0 || peer >= n) continue;
          const std::int64_t begin = peer < me ? 0 : bytes;
          sends_.push_back({send_.slice(0, bytes), peer});
          receives_.push_back({receive_.slice(begin, begin + bytes), peer});
        }
        break;
      case NetworkPattern::ring:
        sends_.push_back({send_.slice(0, bytes), (me + 1) % n});
        receives_.push_back({receive_.slice(0, bytes), (me + n - 1) % n});
        break;
    }
  }

  void exchange(int times) {
    for (int i = 0; i < times; ++i) link_->start(sends_, receives_).finish();
  }

  /// Waits until a GPU has done what was asked of it.
  void wait() const {
    if (receive_.device() != DeviceKind::cpu) {
      static_cast<void>(receive_.slice(0, 1).to(DeviceKind::cpu));
    }
  }

  void check_arrived() const {
    for (const TensorMessage& m : receives_) {
      const std::int64_t end = m.data.numel();
      for (const std::int64_t at : {std::int64_t{0}, end - 1}) {
        const Tensor byte = m.data.slice(at, at + 1).to(DeviceKind::cpu);
        if (byte.data<std::uint8_t>()[0] == mark_of(m.peer)) continue;
        fail("byte {} of {} from rank {} of {} is {}, and {} was sent", at, end, m.peer,
             link_->size(), byte.data<std::uint8_t>()[0], mark_of(m.peer));
      }
    }
  }

 private:
  std::unique_ptr<TensorLink> link_;
  Tensor send_, receive_;
  std::vector<TensorMessage> sends_, receives_;
};

/// Seconds of `times` exchanges in a row, of the slowest rank of all groups. Collective.
double run(const Communicator& world, Group& group, int times) {
  world.barrier();
  const double begin = now_seconds();
  group.exchange(times);
  group.wait();
  return world.max(now_seconds() - begin);
}

NetworkRow measure(const Communicator& world, Group& group, const NetworkBenchOptions& options,
                   NetworkRow row) {
  group.prepare(row.pattern, row.bytes);
  run(world, group, 1);  // ranks that never met connect
  const double once = run(world, group, 1);
  row.iterations = static_cast<int>(std::clamp(std::ceil(options.least_seconds / once), 1.0, 1e4));
  std::vector<double> seconds;
  for (int i = 0; i < options.warm_up; ++i) run(world, group, row.iterations);
  for (int i = 0; i < options.repeats; ++i) {
    seconds.push_back(run(world, group, row.iterations) / row.iterations);
  }
  group.check_arrived();
  row.seconds = summary_of(std::move(seconds));
  return row;
}

}  // namespace

RepeatedTime summary_of(std::vector<double> seconds) {
  std::ranges::sort(seconds);
  const std::size_t n = seconds.size();
  return {(seconds[(n - 1) / 2] + seconds[n / 2]) / 2, seconds.front(), seconds.back()};
}

NetworkBench measure_network(const Communicator& world, const HostMap& hosts, Fabric& fabric,
                             DeviceKind device, const NetworkBenchOptions& options,
                             const std::function<void(const NetworkLatency&)>& told_latency,
                             const std::function<void(const NetworkRow&)>& told_row) {
  WEFT_ASSERT(!options.sizes.empty() && options.repeats > 0, "nothing to measure");
  fabric.prepare();
  NetworkBench bench;
  const auto scopes = scopes_of(hosts);
  for (const NetworkScope scope : scopes) {
    if (scope == NetworkScope::all) continue;
    for (const NetworkLatency& l :
         measure_latency(world, hosts, scope, fabric, device, options.round_trips)) {
      bench.latencies.push_back(l);
      if (world.rank() == 0) told_latency(l);
    }
  }
  for (const NetworkScope scope : scopes) {
    const std::vector<int> colors = groups_of(hosts, scope);
    const Communicator ranks = world.split(colors[static_cast<std::size_t>(world.rank())]);
    Group group(ranks, fabric, device, options.sizes.back());
    const int largest = static_cast<int>(world.max(ranks.size()));
    const double first_of_several = ranks.rank() == 0 && ranks.size() > 1 ? 1 : 0;
    const int groups = static_cast<int>(world.sum(first_of_several));
    for (const NetworkPattern pattern : network_patterns) {
      for (const std::int64_t bytes : options.sizes) {
        bench.rows.push_back(measure(world, group, options,
                                     {.scope = scope,
                                      .pattern = pattern,
                                      .ranks = largest,
                                      .groups = groups,
                                      .bytes = bytes}));
        note_progress();
        if (world.rank() == 0) told_row(bench.rows.back());
      }
    }
  }
  fabric.check();
  return bench;
}

HostMap gather_hosts(const Communicator& world, const std::string& host) {
  std::string text;
  for (const std::string& name : world.gather_strings(host, 0)) text += name + '\n';
  world.broadcast_string(text, 0);
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    names.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return map_hosts(names);
}

}  // namespace weft
