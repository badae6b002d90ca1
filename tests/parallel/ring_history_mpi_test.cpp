#include "weft/base/error.h"
#include "weft/parallel/ring_history.h"

#include "support/mpi_main.h"

namespace weft {
namespace {

// Layers of different sizes, some beyond what MPI sends without a waiting receiver; 2 and 5 are
// upsamplers, which the first chunk skips.
const std::vector<bool> skips_first{false, false, true, false, false, true, false};
constexpr int layers = 7;

Shape shape_of(int layer) { return {2, 1 + layer, 3, layer % 2 == 0 ? 5 : 9000}; }

std::vector<RingHistory::Layer> all_layers() {
  std::vector<RingHistory::Layer> all;
  for (int layer = 0; layer < layers; ++layer) {
    all.push_back({shape_of(layer), skips_first[static_cast<std::size_t>(layer)]});
  }
  return all;
}

// A number that tells the rank that wrote it, the chunk, the layer and the place; exact in float32.
float value(int rank, int chunk, int layer, std::int64_t i) {
  return static_cast<float>(((rank * 32 + chunk) * 8 + layer) * 1024 + i % 1021 + 1);
}

Tensor written(int rank, int chunk, int layer) {
  Tensor t = Tensor::empty(shape_of(layer));
  for (std::int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = value(rank, chunk, layer, i);
  return t;
}

/// What the layers of a decoder do with their history, for one chunk.
void run_chunk(RingHistory& history, const Communicator& comm, int chunk) {
  history.begin_chunk(chunk);
  for (int layer = 0; layer < layers; ++layer) {
    const bool skips = skips_first[static_cast<std::size_t>(layer)];
    if (chunk == 0 && skips) continue;
    Tensor to = Tensor::empty(shape_of(layer));
    for (float& x : to.span()) x = -1;
    history.take(layer, to);
    const bool zeros = chunk == 0 || (chunk == 1 && skips);
    const int before = (chunk - 1 + comm.size()) % comm.size();
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < to.numel(); ++i) {
      const float expected = zeros ? 0.0F : value(before, chunk - 1, layer, i);
      if (to.data<float>()[i] != expected) ++wrong;
    }
    EXPECT_EQ(wrong, 0) << "chunk " << chunk << ", layer " << layer;
    Tensor last = written(comm.rank(), chunk, layer);
    history.put(layer, last);
    for (float& x : last.span()) x = -2;  // the decoder reuses its buffers
  }
}

void run_clip(const Communicator& comm, int chunks) {
  Fabric fabric(comm, DeviceKind::cpu);
  RingHistory history(fabric, comm, all_layers(), DType::f32, chunks);
  for (int chunk = comm.rank(); chunk < chunks; chunk += comm.size())
    run_chunk(history, comm, chunk);
  history.finish();
}

TEST(RingHistory, EveryChunkFindsWhatTheChunkBeforeLeft) {
  const auto comm = Communicator::world();
  for (const int chunks : {1, 2, 3, 7, 8, 15}) run_clip(comm, chunks);
}

// Two clips at once on one communicator, and a user's own messages with the same tags.
TEST(RingHistory, MessagesOfOthersDoNotMix) {
  const auto comm = Communicator::world();
  const int chunks = 3 * comm.size();
  Fabric fabric(comm, DeviceKind::cpu);
  RingHistory first(fabric, comm, all_layers(), DType::f32, chunks);
  RingHistory second(fabric, comm, all_layers(), DType::f32, chunks);
  const std::vector<std::byte> out(100, std::byte{7});
  std::vector<std::byte> in(100);
  auto send = comm.start_send(out, (comm.rank() + 1) % comm.size(), 0);
  for (int chunk = comm.rank(); chunk < chunks; chunk += comm.size()) {
    run_chunk(second, comm, chunk);
    run_chunk(first, comm, chunk);
  }
  auto receive = comm.start_receive(in, (comm.rank() + comm.size() - 1) % comm.size(), 0);
  receive.wait();
  send.wait();
  EXPECT_EQ(in, out);
}

// The rank after sleeps in its first layer while this one goes on: no send waits for it within a
// chunk, and the destructor sees the last messages off.
TEST(RingHistory, TheDestructorWaitsForTheNextRank) {
  const auto comm = Communicator::world();
  Fabric fabric(comm, DeviceKind::cpu);
  for (int round = 0; round < 3; ++round) {
    RingHistory history(fabric, comm, all_layers(), DType::f32, comm.size());
    run_chunk(history, comm, comm.rank());
  }
}

// Groups that decode side by side on one fabric: each is a ring of its own. Catches peers counted
// in the world instead of the group, and lanes chosen by the world's numbers.
TEST(RingHistory, EveryGroupIsARingOfItsOwn) {
  const auto comm = Communicator::world();
  Fabric fabric(comm, DeviceKind::cpu);
  for (const int groups : {2, 3}) {
    const auto group = comm.split(comm.rank() % groups);
    const int chunks = 3 * group.size() + 1;
    RingHistory history(fabric, group, all_layers(), DType::f32, chunks);
    for (int chunk = group.rank(); chunk < chunks; chunk += group.size())
      run_chunk(history, group, chunk);
    history.finish();
  }
}

TEST(RingHistory, SendsExactlyTheHistoriesThatTravel) {
  const auto comm = Communicator::world();
  const int chunks = 2 * comm.size() + 1;
  Fabric fabric(comm, DeviceKind::cpu);
  RingHistory history(fabric, comm, all_layers(), DType::f32, chunks);
  std::int64_t expected = 0;
  for (int chunk = comm.rank(); chunk < chunks; chunk += comm.size()) {
    run_chunk(history, comm, chunk);
    for (int layer = 0; layer < layers; ++layer) {
      const bool travels = comm.size() > 1 && chunk + 1 < chunks &&
                           (chunk > 0 || !skips_first[static_cast<std::size_t>(layer)]);
      if (travels) expected += shape_of(layer).numel() * 4;
    }
  }
  history.finish();
  EXPECT_EQ(history.bytes_sent(), expected);
}

TEST(RingHistory, RefusesWhatWouldNotMatch) {
  const auto comm = Communicator::world();
  Fabric fabric(comm, DeviceKind::cpu);
  RingHistory history(fabric, comm, all_layers(), DType::f32, 4 * comm.size());
  Tensor to = Tensor::empty(shape_of(0));
  EXPECT_THROW(history.take(0, to), Error);                             // no chunk has begun
  EXPECT_THROW(history.begin_chunk(comm.rank() + comm.size()), Error);  // not this rank's first
  if (comm.rank() == 0) {
    history.begin_chunk(0);
    EXPECT_THROW(history.take(2, to), Error);  // the first chunk skips it
    EXPECT_THROW(history.take(layers, to), Error);
  }
}

}  // namespace
}  // namespace weft
