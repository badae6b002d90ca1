#include "network_latency.h"

#include <algorithm>

#include "weft/base/error.h"
#include "weft/base/stages.h"

#include "mpi_check.h"

namespace weft {
namespace {

using Pair = std::array<int, 2>;
constexpr std::int64_t message_bytes = 8;

/// Round trips of MPI itself between this rank and `peer`; whoever is `first` begins.
void mpi_round_trips(bool first, int peer, int times) {
  std::array<std::byte, message_bytes> out{}, in{};
  constexpr int tag = 0;  // the project's own messages never travel in MPI_COMM_WORLD
  const auto send = [&] {
    check_mpi(MPI_Send(out.data(), message_bytes, MPI_BYTE, peer, tag, MPI_COMM_WORLD), "MPI_Send");
  };
  const auto receive = [&] {
    check_mpi(
        MPI_Recv(in.data(), message_bytes, MPI_BYTE, peer, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE),
        "MPI_Recv");
  };
  for (int i = 0; i < times; ++i) {
    if (first) send();
    receive();
    if (!first) send();
  }
}

/// The same through a link of two ranks. On a GPU nothing waits but the streams.
void link_round_trips(TensorLink& link, const Tensor& out, const Tensor& in, int times) {
  const bool first = link.rank() == 0;
  const int peer = 1 - link.rank();
  for (int i = 0; i < times; ++i) {
    if (first) link.start({{out, peer}}, {}).finish();
    link.start({}, {{in, peer}}).finish();
    if (!first) link.start({{out, peer}}, {}).finish();
  }
  if (in.device() != DeviceKind::cpu) static_cast<void>(in.to(DeviceKind::cpu));
}

/// Half a round trip, of the slower of the two; 0 on all other ranks. They wait in a barrier
/// meanwhile, which yields the core.
template <class RoundTrips>
double half_round_trip(bool mine, int round_trips, RoundTrips run) {
  if (!mine) return 0;
  run(std::max(1, round_trips / 10));
  const double begin = now_seconds();
  run(round_trips);
  return (now_seconds() - begin) / round_trips / 2;
}

NetworkLatency summary(NetworkScope scope, const char* path, const std::vector<Pair>& pairs,
                       const std::vector<double>& seconds) {
  NetworkLatency latency{.scope = scope, .path = path, .pairs = static_cast<int>(pairs.size())};
  latency.seconds = summary_of(seconds);
  latency.slowest =
      pairs[static_cast<std::size_t>(std::ranges::max_element(seconds) - seconds.begin())];
  return latency;
}

}  // namespace

std::vector<NetworkLatency> measure_latency(const Communicator& world, const HostMap& hosts,
                                            NetworkScope scope, Fabric& fabric, DeviceKind device,
                                            int round_trips) {
  const std::vector<Pair> pairs = latency_pairs(hosts, scope);
  if (pairs.empty()) return {};
  const int me = world.rank();
  std::vector<double> by_mpi, by_link;
  for (const Pair& pair : pairs) {
    const bool mine = me == pair[0] || me == pair[1];
    const Communicator two = world.split(mine ? 0 : 1);
    world.barrier();
    const double raw = half_round_trip(mine, round_trips, [&](int times) {
      mpi_round_trips(me == pair[0], me == pair[0] ? pair[1] : pair[0], times);
    });
    by_mpi.push_back(world.max(raw));
    // In a row of ranks the first of a pair has the lower number, and so it has in `two`.
    std::unique_ptr<TensorLink> link = mine ? fabric.link(two) : nullptr;
    const Tensor out = Tensor::zeros({message_bytes}, DType::u8, device);
    const Tensor in = Tensor::zeros({message_bytes}, DType::u8, device);
    world.barrier();
    const double linked = half_round_trip(
        mine, round_trips, [&](int times) { link_round_trips(*link, out, in, times); });
    by_link.push_back(world.max(linked));
  }
  return {summary(scope, "mpi", pairs, by_mpi), summary(scope, "link", pairs, by_link)};
}

}  // namespace weft
