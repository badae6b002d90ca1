// Exchanges between ranks and the work around them, under mpirun or on one rank. Rank 0 reports;
// the time of an iteration is the slowest rank's.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>

#include <benchmark/benchmark.h>

#include "weft/comm/session.h"
#include "weft/grid/cost.h"
#include "weft/model/vae.h"
#include "weft/ops/ops.h"
#include "weft/parallel/cfg_halves.h"
#include "weft/parallel/ring_history.h"
#include "weft/parallel/windows.h"

namespace weft::bench {
namespace {

constexpr std::int64_t channels = 16;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Place {
  const Communicator& world;
  Fabric& fabric;
  TensorLink& link;
  Ops& ops;
};

/// Seconds of one call, of the slowest rank. Collective.
double slowest(const Place& place, const std::function<void()>& call) {
  place.world.barrier();
  const double begin = now();
  call();
  return place.world.max(now() - begin);
}

/// Times `call` on all ranks. Ranks must agree on the number of iterations, which the library would
/// choose by each one's own clock: it is fixed here, by the slowest rank's.
/// `sent`: bytes that the busiest rank sends in a call; `whole`: of the operation, by which its
/// algorithm bandwidth counts; both for the rates.
void add_case(const Place& place, const std::string& name, double sent, double whole,
              std::function<void()> call) {
  constexpr double wanted_seconds = 0.5;
  call();  // what is done once is done
  const double once = slowest(place, call);
  const auto times = static_cast<std::int64_t>(std::clamp(wanted_seconds / once, 3.0, 10'000.0));
  benchmark::RegisterBenchmark(
      name.c_str(),
      [place, sent, whole, call = std::move(call)](benchmark::State& state) {
        for (auto _ : state) state.SetIterationTime(slowest(place, call));
        const auto rate = [&](double bytes) {
          return benchmark::Counter(bytes / 1e9 * static_cast<double>(state.iterations()),
                                    benchmark::Counter::kIsRate);
        };
        if (whole > 0) state.counters["algorithm_GB/s"] = rate(whole);
        if (sent > 0) {
          state.counters["bus_GB/s"] = rate(sent);
          state.counters["sent_MB"] = sent / 1e6;
        }
      })
      ->Iterations(times)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

/// A row of windows of the models' native size, as wide as needed: some for every rank. As they
/// are in step `step` of a render with --window-shift, which has one more from the second step on.
WindowPlan wide_plan(int windows, int step = 0) {
  constexpr std::int64_t size = 104, overlap = 26;
  const Box volume = whole(21, 60, size + (windows - 1) * (size - overlap));
  const WindowSize window{.size = {21, 60, size}, .overlap = {0, 0, overlap}};
  return make_window_plan(volume, window, window_shift(volume, window, step));
}

std::vector<int> even_owners(const WindowPlan& plan, int ranks) {
  return assign_windows(std::vector<double>(plan.windows.size(), 1), ranks);
}

/// A tensor of zeros for each window of this rank.
std::vector<Tensor> zeros_of(const WindowExchange& exchange) {
  std::vector<Tensor> tensors;
  for (const int w : exchange.mine()) {
    const auto& window = exchange.plan().windows[static_cast<std::size_t>(w)];
    tensors.push_back(Tensor::zeros(box_shape(channels, window.box)));
  }
  return tensors;
}

double most_sent(const TransferPlan& plan, int ranks) {
  double most = 0;
  for (const RankTraffic& t : traffic(plan, channels, ranks)) {
    most = std::max(most, static_cast<double>(t.sent));
  }
  return most;
}

void add_packing(const Place& place) {
  const Box window = whole(21, 60, 104);
  const BoxTensor held{window, Tensor::zeros(box_shape(channels, window))};
  for (const auto& [name, box] :
       {std::pair{"columns", Box{{Range{0, 21}, Range{0, 60}, Range{78, 104}}}},
        std::pair{"rows", Box{{Range{0, 21}, Range{44, 60}, Range{0, 104}}}},
        std::pair{"frames", Box{{Range{16, 21}, Range{0, 60}, Range{0, 104}}}}}) {
    const Tensor packed = pack_box(held, box);
    const double moved = 2 * static_cast<double>(packed.bytes());  // read and written
    add_case(place, fmt::format("pack/{}/{} kB", name, packed.bytes() / 1024), 0, moved,
             [held, box = box] { benchmark::DoNotOptimize(pack_box(held, box).raw()); });
    add_case(place, fmt::format("unpack/{}/{} kB", name, packed.bytes() / 1024), 0, moved,
             [held, packed, box = box] { unpack_box(packed, box, held); });
  }
}

void add_planning(const Place& place) {
  for (const int windows : {16, 256}) {
    const WindowPlan plan = wide_plan(windows);
    std::vector<int> owner(plan.windows.size());
    std::iota(owner.begin(), owner.end(), 0);
    add_case(place, fmt::format("overlap_plan/{} windows", windows), 0, 0, [plan, owner] {
      const TransferPlan made = overlap_plan(plan, owner);
      benchmark::DoNotOptimize(made.data());
    });
  }
}

void add_windows(const Place& place) {
  const int ranks = place.link.size();
  const int count = std::max(2, 2 * ranks);
  const WindowPlan plan = wide_plan(count);
  const std::vector<int> owner = even_owners(plan, ranks);
  const auto exchange =
      std::make_shared<WindowExchange>(place.link, plan, owner, channels, DeviceKind::cpu);
  const std::vector<Tensor> velocities = zeros_of(*exchange);
  const double overlaps = most_sent(overlap_plan(plan, owner), ranks);
  add_case(place, fmt::format("window_exchange/{} windows", count), overlaps, overlaps,
           [exchange, velocities, ops = &place.ops] {
             benchmark::DoNotOptimize(exchange->start(velocities).finish(*ops).data());
           });
  add_case(place, fmt::format("window_exchange_unblended/{} windows", count), overlaps, overlaps,
           [place, exchange, velocities, transfers = overlap_plan(plan, owner)] {
             const auto& mine = exchange->mine();
             start_exchange(
                 place.link, transfers, channels,
                 [&](int window) {
                   const auto at = std::ranges::find(mine, window) - mine.begin();
                   return BoxTensor{exchange->plan().windows[static_cast<std::size_t>(window)].box,
                                    velocities[static_cast<std::size_t>(at)]};
                 },
                 DeviceKind::cpu)
                 .finish([](const Transfer&, const Tensor&) {});
           });
  const Tensor volume =
      place.link.rank() == 0 ? Tensor::zeros(box_shape(channels, plan.volume)) : Tensor();
  const double scattered = most_sent(scatter_plan(plan, owner), ranks);
  add_case(place, fmt::format("scatter/{} windows", count), scattered, scattered,
           [exchange, volume] { benchmark::DoNotOptimize(exchange->scatter(volume).data()); });

  const std::vector<Box> pieces =
      chunk_boxes(plan.volume, decode_chunks(plan.volume.frames().size(), 1));
  const std::vector<int> piece_owner = assign_chunks(pieces.size(), ranks);
  std::map<int, Tensor> latents;
  for (std::size_t i = 0; i < velocities.size(); ++i) latents[exchange->mine()[i]] = velocities[i];
  const double gathered = most_sent(gather_plan(plan, owner, pieces, piece_owner), ranks);
  add_case(place, fmt::format("gather_pieces/{} chunks", pieces.size()), gathered, gathered, [=] {
    benchmark::DoNotOptimize(gather_pieces(place.link, plan, owner, channels, DeviceKind::cpu,
                                           latents, pieces, piece_owner)
                                 .data());
  });
}

/// --window-shift: latents of one step's windows to those of the next.
void add_rewindow(const Place& place) {
  const int ranks = place.link.size();
  const int count = std::max(2, 2 * ranks);
  const auto exchange_of = [&](int step) {
    const WindowPlan plan = wide_plan(count, step);
    return std::make_shared<WindowExchange>(place.link, plan, even_owners(plan, ranks), channels,
                                            DeviceKind::cpu);
  };
  const auto from = exchange_of(0), to = exchange_of(1);
  const double moved = most_sent(rewindow_plan(from->plan(), even_owners(from->plan(), ranks),
                                               to->plan(), even_owners(to->plan(), ranks)),
                                 ranks);
  add_case(place, fmt::format("rewindow/{} to {} windows", count, to->plan().windows.size()), moved,
           moved, [from, to, latents = zeros_of(*from)] {
             benchmark::DoNotOptimize(rewindow(*from, *to, latents).data());
           });
}

/// Velocities of one window, swapped by the ranks of every pair.
void add_cfg_halves(const Place& place) {
  if (place.world.size() == 1) return;
  const Communicator pair = place.world.split(place.world.rank() / 2);
  const auto halves =
      pair.size() == 2 ? std::make_shared<CfgHalves>(place.fabric, pair) : nullptr;  // the odd one
  const Tensor velocity = Tensor::zeros(box_shape(channels, whole(21, 60, 104)));
  const auto bytes = static_cast<double>(velocity.bytes());
  add_case(place, fmt::format("cfg_halves/{} kB", velocity.bytes() / 1024), bytes, bytes,
           [halves, velocity, ops = &place.ops] {
             if (halves) benchmark::DoNotOptimize(halves->exchange(*ops, velocity).raw());
           });
}

/// A clip of three chunks a rank, 128 x 128 pixels, through the histories of Wan 2.1's decoder,
/// with no work between them. The busiest rank is one of those after which a chunk follows each
/// time.
void add_ring_history(const Place& place) {
  const int ranks = place.world.size();
  if (ranks == 1) return;
  WeightSource weights = WeightSource::random("vae", {});  // only the layers' shapes matter
  const VaeDecoder decoder(VaeConfig(), weights);
  std::vector<RingHistory::Layer> layers;
  double whole_chunk = 0, first_chunk = 0;  // bytes that a chunk hands on
  for (int l = 0; l < decoder.history_layers(); ++l) {
    layers.push_back({decoder.history_shape(l, 16, 16), decoder.skips_first(l)});
    const double bytes = 4.0 * static_cast<double>(layers.back().shape.numel());
    whole_chunk += bytes;
    if (!layers.back().skips_first) first_chunk += bytes;
  }
  const int chunks = 3 * ranks;
  // Rank 0 has the first chunk, the last rank the last one, which hands nothing on.
  const double sent = ranks > 2 ? 3 * whole_chunk : first_chunk + 2 * whole_chunk;
  add_case(place, fmt::format("ring_history/{} chunks, {:.0f} MB each", chunks, whole_chunk / 1e6),
           sent, sent, [place, layers, chunks] {
             RingHistory history(place.fabric, place.world, layers, DType::f32, chunks);
             for (int c = place.world.rank(); c < chunks; c += place.world.size()) {
               history.begin_chunk(c);
               for (int l = 0; l < std::ssize(layers); ++l) {
                 const auto& layer = layers[static_cast<std::size_t>(l)];
                 if (c == 0 && layer.skips_first) continue;
                 const Tensor last = Tensor::empty(layer.shape);
                 history.take(l, last);
                 history.put(l, last);
               }
             }
             history.finish();
           });
}

/// Of all that the ranks hold together, as nccl-tests counts: bus = algorithm (n - 1) / n.
void add_all_gather(const Place& place) {
  const int ranks = place.link.size();
  if (ranks == 1) return;
  for (const std::int64_t rows : {4096, 262'144}) {
    const Tensor all = Tensor::zeros({rows, 64});  // the features of tokens
    std::vector<std::int64_t> begins;
    for (int r = 0; r <= ranks; ++r) begins.push_back(rows * r / ranks);
    const auto bytes = static_cast<double>(all.bytes());
    add_case(place, fmt::format("all_gather/{} kB", all.bytes() / 1024),
             bytes * (ranks - 1) / ranks, bytes,
             [place, all, begins] { start_all_gather(place.link, all, begins).finish(); });
  }
}

/// Ranks other than 0 say nothing.
class Silent final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& /*context*/) override { return true; }
  void ReportRuns(const std::vector<Run>& /*report*/) override {}
};

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  using namespace weft;
  const Session session(argc, argv);
  try {
    // One file, and that of rank 0.
    if (session.rank() > 0) {
      char** end = std::remove_if(argv + 1, argv + argc, [](const char* word) {
        return std::strncmp(word, "--benchmark_out", std::strlen("--benchmark_out")) == 0;
      });
      argc = static_cast<int>(end - argv);
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) Session::abort(2);
    const Communicator world = Communicator::world();
    Fabric fabric(world, DeviceKind::cpu);
    const auto link = fabric.link(world);
    const auto ops = make_cpu_ops(1);
    const bench::Place place{world, fabric, *link, *ops};
    bench::add_packing(place);
    bench::add_planning(place);
    bench::add_windows(place);
    bench::add_rewindow(place);
    bench::add_cfg_halves(place);
    bench::add_ring_history(place);
    bench::add_all_gather(place);
    benchmark::AddCustomContext("ranks", std::to_string(world.size()));
    benchmark::AddCustomContext(
        "mpi", session.library_version().substr(0, session.library_version().find('\n')));
    benchmark::AddCustomContext(
        "bandwidths",
        "bus: bytes that the busiest rank sends / time; algorithm: the same, for all_gather the "
        "bytes of the whole tensor / time, for pack and unpack bytes read + written / time");
    bench::Silent silent;
    if (world.rank() == 0) {
      benchmark::RunSpecifiedBenchmarks();
    } else {
      benchmark::RunSpecifiedBenchmarks(&silent);
    }
    world.barrier();
    benchmark::ClearRegisteredBenchmarks();  // they hold links, which end before the session
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    Session::abort(1);
  }
  return 0;
}
