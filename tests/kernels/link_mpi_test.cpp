// CUDA tensors between ranks, for a machine with two GPUs or more (with fewer the program says so
// and returns 77). With --shared all ranks use the first GPU: messages then go by way of the host.
//
// What would be seen: a message that is lost, cut or handed to the wrong start(); one that begins
// before the compute stream has written it; one that is read, overwritten or whose memory is given
// to others before it has arrived; lanes that wait for each other.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>

#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/comm/fabric.h"
#include "weft/comm/session.h"
#include "weft/device/device_api.h"

#include "comm/link_rounds.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;
using test::make_round;
using test::Messages;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void expect_arrived(const TensorLink& link, const Messages& receives, int round, const char* what) {
  for (const TensorMessage& m : receives) {
    if (const auto wrong = test::wrong_values(link, m, round); wrong != 0) {
      fail("{}: round {} from rank {}: {} of {} elements are wrong", what, round, m.peer, wrong,
           m.data.numel());
    }
  }
}

void all_to_all(TensorLink& link, const char* what) {
  for (int round = 0; round < 5; ++round) {
    const auto r = make_round(link, round, DeviceKind::cuda);
    link.start(r.sends, r.receives).finish();
    expect_arrived(link, r.receives, round, what);
  }
}

// Transfers of both lanes under way at once, finished in another order; the test's own handles of
// what is sent are gone meanwhile.
void several_under_way(TensorLink& first, TensorLink& second) {
  constexpr std::size_t rounds = 6;
  std::vector<TensorLink::Pending> moved(rounds);
  std::vector<Messages> receives(rounds);
  for (std::size_t i = 0; i < rounds; ++i) {
    TensorLink& link = i % 2 == 0 ? first : second;
    auto r = make_round(link, static_cast<int>(i), DeviceKind::cuda);
    receives[i] = r.receives;
    moved[i] = link.start(std::move(r.sends), std::move(r.receives));
  }
  for (const std::size_t i : {3U, 0U, 5U, 1U, 2U, 4U}) {
    moved[i].finish();
    expect_arrived(first, receives[i], static_cast<int>(i), "several under way");
  }
}

void all_gather(TensorLink& link) {
  const auto begins = test::uneven_begins(link.size());
  const Tensor whole = test::own_rows(link, begins, DeviceKind::cuda);
  start_all_gather(link, whole, begins).finish();
  if (const auto wrong = test::wrong_rows(whole); wrong != 0) {
    fail("all-gather: {} of {} elements are wrong", wrong, whole.numel());
  }
}

// Longer than all slots of a mailbox (peer_copies.h), the last piece short, from everyone to
// everyone at once and twice, so that slots are used again: a piece in another's place would be
// seen.
void long_messages(TensorLink& link) {
  constexpr std::int64_t count = (std::int64_t{90} << 18) + 3;
  const auto values = [](int from, int to) {
    const Tensor t = Tensor::empty({count}, DType::i32);
    for (std::int64_t i = 0; i < count; ++i) {
      t.data<std::int32_t>()[i] = static_cast<std::int32_t>(i * 64 + from * 8 + to);
    }
    return t;
  };
  Messages sends, receives;
  for (int other = 0; other < link.size(); ++other) {
    if (other == link.rank()) continue;
    sends.push_back({values(link.rank(), other).to(DeviceKind::cuda), other});
    receives.push_back({Tensor::zeros({count}, DType::i32, DeviceKind::cuda), other});
  }
  for (int round = 0; round < 2; ++round) {
    link.start(sends, receives).finish();
    for (const TensorMessage& m : receives) {
      const Tensor got = m.data.to(DeviceKind::cpu), want = values(m.peer, link.rank());
      if (std::memcmp(got.raw(), want.raw(), want.bytes()) != 0) {
        fail("long messages: round {} from rank {} is not what was sent", round, m.peer);
      }
      fill_zero(m.data);
    }
  }
}

Tensor filled(std::int64_t bytes, int number) {
  const Tensor t = Tensor::empty({bytes}, DType::u8);
  std::memset(t.raw(), number, t.bytes());
  return t.to(DeviceKind::cuda);
}

/// A byte that tells sender and round.
int mark(int rank, int round) { return (rank * 31 + round * 7) % 251; }

// Round a ring on both lanes at once: filled right before start(), behind a copy that takes its
// time; overwritten right after finish(); spaces are allocated and freed in between, so that their
// memory is used again at once. What arrived is looked at after all rounds.
void order_with_compute(TensorLink& first, TensorLink& second) {
  constexpr std::int64_t bytes = 200'003;
  constexpr int rounds = 1000;
  const int size = first.size(), me = first.rank();
  const int to = (me + 1) % size, from = (me + size - 1) % size;
  std::vector<Tensor> patterns;
  for (int round = 0; round < 251; ++round) patterns.push_back(filled(bytes, mark(me, round)));
  const Tensor junk = filled(bytes, 253);
  const Tensor large = filled(std::int64_t{64} << 20, 1), large_copy = large.clone();
  const Tensor arrived = filled(2 * rounds * bytes, 254).reshape({2 * rounds, bytes});
  const Tensor out = Tensor::empty({2, bytes}, DType::u8, DeviceKind::cuda);
  for (int round = 0; round < rounds; ++round) {
    const Tensor in = Tensor::empty({2, bytes}, DType::u8, DeviceKind::cuda);
    copy(large, large_copy);
    copy(patterns[static_cast<std::size_t>(round % 251)], out.slice(0, 1));
    auto one = first.start({{out.slice(0, 1), to}}, {{in.slice(0, 1), from}});
    copy(patterns[static_cast<std::size_t>((round + 1) % 251)], out.slice(1, 2));
    auto two = second.start({{out.slice(1, 2), to}}, {{in.slice(1, 2), from}});
    copy(junk, Tensor::empty({bytes}, DType::u8, DeviceKind::cuda));  // not what is under way
    two.finish();
    one.finish();
    copy(in, arrived.slice(2 * round, 2 * round + 2));
    copy(junk, out.slice(0, 1));
    copy(junk, out.slice(1, 2));
    copy(junk, in.slice(0, 1));
    copy(junk, in.slice(1, 2));
  }
  const Tensor got = arrived.to(DeviceKind::cpu);
  for (int i = 0; i < 2 * rounds; ++i) {
    const auto want = static_cast<std::uint8_t>(mark(from, (i / 2 + i % 2) % 251));
    for (const std::uint8_t byte : got.slice(i, i + 1).span<std::uint8_t>()) {
      if (byte != want) {
        fail("order with the compute stream: round {}, lane {}: {}, want {}", i / 2, i % 2, byte,
             want);
      }
    }
  }
}

// Pairs of blocks go round the ring and are read where they land, as keys and values are: behind a
// copy that takes its time, while the block is handed on and the next one comes. Blocks of two
// sizes, the second in a larger room. A block overwritten before it is read, handed on too early or
// taken for the one before would be seen at its ends or in the middle.
void read_where_they_land(TensorLink& link) {
  constexpr int rounds = 60, patterns = 8, parts = 3;
  constexpr std::int64_t seen_bytes = 1000;
  const int size = link.size(), me = link.rank();
  const int to = (me + 1) % size, from = (me + size - 1) % size;
  const Tensor large = filled(std::int64_t{64} << 20, 1), large_copy = large.clone();
  struct Pair {
    Tensor first, second;
  };
  for (const std::int64_t bytes : {std::int64_t{5'000'003}, std::int64_t{70'000'001}}) {
    std::vector<Tensor> fill;  // one more than is asked for: the second of a pair differs
    for (int i = 0; i <= patterns; ++i) fill.push_back(filled(bytes, mark(me, i)));
    const Pair own{fill[0].clone(), fill[0].clone()};
    const Tensor seen =
        Tensor::zeros({rounds * size * 2 * parts, seen_bytes}, DType::u8, DeviceKind::cuda);
    std::int64_t line = 0;
    const auto look = [&](const Tensor& block) {
      for (const std::int64_t at : {std::int64_t{0}, bytes / 2, bytes - seen_bytes}) {
        copy(block.slice(at, at + seen_bytes), seen.slice(line, line + 1).reshape({seen_bytes}));
        ++line;
      }
    };
    for (int round = 0; round < rounds; ++round) {
      link.make_room(from, to, {.landing = static_cast<std::size_t>(bytes)});
      copy(fill[static_cast<std::size_t>(round % patterns)], own.first);
      copy(fill[static_cast<std::size_t>(round % patterns + 1)], own.second);
      Pair held = own;
      for (int step = 0; step < size; ++step) {
        Pair coming;
        TensorLink::Pending arriving;
        if (step + 1 < size) {
          coming.first = link.landing(from, {bytes}, DType::u8, DeviceKind::cuda);
          coming.second = link.landing(from, {bytes}, DType::u8, DeviceKind::cuda);
          arriving = link.start({{held.first, to}, {held.second, to}},
                                {{coming.first, from}, {coming.second, from}});
        }
        copy(large, large_copy);
        look(held.first);
        look(held.second);
        arriving.finish();
        held = coming;
      }
    }
    const Tensor got = seen.to(DeviceKind::cpu);
    for (std::int64_t i = 0; i < line; ++i) {
      const int second = static_cast<int>(i / parts % 2), step = static_cast<int>(i / 2 / parts);
      const int round = step / size, owner = (me + size - step % size) % size;
      const auto want = static_cast<std::uint8_t>(mark(owner, round % patterns + second));
      for (const std::uint8_t byte : got.slice(i, i + 1).span<std::uint8_t>()) {
        if (byte != want) {
          fail("read where they land: {} bytes, round {}, step {}, part {}: {}, want {}", bytes,
               round, step % size, i % parts, byte, want);
        }
      }
    }
  }
}

// As the histories of a chunk: all are asked for before the next rank asks for any. Where the host
// waits for that rank, which waits at the barrier, the test does not end.
void ask_before_the_receiver_comes(TensorLink& link, const Communicator& world) {
  constexpr std::int64_t bytes = 100'003;
  const int size = link.size(), me = link.rank();
  const int to = (me + 1) % size, from = (me + size - 1) % size;
  constexpr auto count = static_cast<std::int64_t>(device_link_pieces);
  const Tensor out = filled(bytes, mark(me, 5));
  const Tensor in = Tensor::zeros({count, bytes}, DType::u8, DeviceKind::cuda);
  std::vector<TensorLink::Pending> under_way;
  for (std::int64_t i = 0; i < count; ++i) under_way.push_back(link.start({{out, to}}, {}));
  world.barrier();
  for (std::int64_t i = 0; i < count; ++i) {
    under_way.push_back(link.start({}, {{in.slice(i, i + 1), from}}));
  }
  for (auto& transfer : under_way) transfer.finish();
  const Tensor got = in.to(DeviceKind::cpu);
  for (const std::uint8_t byte : got.span<std::uint8_t>()) {
    if (byte != mark(from, 5)) fail("asked for before the receiver: {} came", byte);
  }
}

void wait_for_gpu() {
  static_cast<void>(filled(1, 0).to(DeviceKind::cpu));  // a copy to the host waits for the stream
}

/// `bytes`: what each GPU holds; it keeps its own share and sends the others.
void measure(TensorLink& link, const Communicator& world, std::int64_t bytes) {
  const std::int64_t share = bytes / link.size();
  const Tensor out = filled(bytes, 1), in = filled(bytes, 2);
  Messages sends, receives;
  for (int i = 1; i < link.size(); ++i) {
    const int to = (link.rank() + i) % link.size();
    const int from = (link.rank() + link.size() - i) % link.size();
    sends.push_back({out.slice(to * share, (to + 1) * share), to});
    receives.push_back({in.slice(from * share, (from + 1) * share), from});
  }
  link.start(sends, receives).finish();
  wait_for_gpu();
  constexpr int repeats = 20;
  world.barrier();
  const auto begin = Clock::now();
  for (int i = 0; i < repeats; ++i) link.start(sends, receives).finish();
  const double own_host = seconds_since(begin);
  wait_for_gpu();
  const double own_all = seconds_since(begin);
  const double host = world.max(own_host) / repeats, all = world.max(own_all) / repeats;
  if (world.rank() != 0) return;
  const auto sent = static_cast<double>(share * (link.size() - 1));
  std::printf("all-to-all of %.0f MB per GPU: %.1f GB/s sent by each, %.3f ms, host %.3f ms\n",
              static_cast<double>(bytes) / 1e6, sent / all / 1e9, all * 1e3, host * 1e3);
}

int run(const Session& session, bool shared) {
  const auto world = Communicator::world();
  const auto least = -static_cast<int>(world.max(-cuda_device_count()));
  if (least < (shared ? 1 : 2)) {
    if (world.rank() == 0) std::printf("skipped: %d GPUs on a host\n", least);
    return 77;
  }
  use_cuda_device(shared ? 0 : session.local_rank() % cuda_device_count());
  log_init(LogLevel::info, world.rank());
  const auto begin = Clock::now();
  Fabric fabric(world, DeviceKind::cuda);
  fabric.prepare();
  const auto first = fabric.link(world), second = fabric.link(world, Fabric::Lane::second);
  if (world.rank() == 0) std::printf("links up after %.2f s\n", seconds_since(begin));
  const auto done = [&](const char* what) {
    world.barrier();
    if (world.rank() == 0) std::printf("passed: %s\n", what);
    std::fflush(stdout);
  };
  all_to_all(*first, "all-to-all");
  all_to_all(*second, "all-to-all, second lane");
  done("all-to-all");
  const auto group = world.split(world.rank() % 2);
  all_to_all(*fabric.link(group), "all-to-all of a group");
  done("groups");
  several_under_way(*first, *second);
  done("several under way");
  all_gather(*first);
  done("all-gather");
  long_messages(*first);
  done("long messages");
  if (world.size() > 1) {
    read_where_they_land(*first);
    all_to_all(*first, "all-to-all in a larger room");
    done("read where they land");
    if (device_link_transport().starts_with("copy engines")) {  // NCCL promises nothing of the kind
      ask_before_the_receiver_comes(*second, world);
      done("asked for before the receiver comes");
    }
    const int next = (world.rank() + 1) % world.size();
    const int previous = (world.rank() + world.size() - 1) % world.size();
    first->make_room(previous, next, {.piece = device_link_piece_bytes + 1});
    long_messages(*first);
    read_where_they_land(*first);
    done("longer pieces");
  }
  if (world.size() == 1) return 0;
  order_with_compute(*first, *second);
  done("order with the compute stream");
  fabric.check();
  for (const std::int64_t megabytes : {2, 32, 512}) {
    if (megabytes < 512 || !shared) measure(*first, world, megabytes << 20);
  }
  return 0;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  const weft::Session session(argc, argv);
  try {
    return weft::run(session, argc > 1 && std::string_view(argv[1]) == "--shared");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rank %d of %d: %s\n", session.rank(), session.size(), e.what());
    weft::Session::abort(1);
  }
}
