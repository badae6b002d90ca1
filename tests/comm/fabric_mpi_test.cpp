// CPU tensors between ranks. Every value tells its sender, its receiver and its place, so that a
// message that is lost, cut, sent twice, or handed to the wrong start() is seen.
#include <algorithm>
#include <array>

#include "weft/base/error.h"
#include "weft/comm/fabric.h"

#include "comm/link_rounds.h"
#include "support/mpi_main.h"

namespace weft {
namespace {

using test::make_round;
using test::Messages;
using test::Round;

void expect_arrived(const TensorLink& link, const Messages& receives, int round) {
  for (const TensorMessage& m : receives) {
    EXPECT_EQ(test::wrong_values(link, m, round), 0)
        << "round " << round << " from rank " << m.peer << " to " << link.rank();
  }
}

TEST(Fabric, EveryRankToEveryRankWithUnevenAndEmptyTensors) {
  const auto world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  fabric.prepare();
  const auto link = fabric.link(world);
  EXPECT_EQ(link->rank(), world.rank());
  EXPECT_EQ(link->size(), world.size());
  std::int64_t sent = 0;
  for (int round = 0; round < 5; ++round) {
    const Round r = make_round(*link, round);
    for (const auto& m : r.sends) sent += 4 * m.data.numel();
    auto moved = link->start(r.sends, r.receives);
    moved.finish();
    expect_arrived(*link, r.receives, round);
  }
  EXPECT_EQ(link->bytes_sent(), sent);
  fabric.check();
}

// Several under way between the same ranks, on two lanes, finished in another order than started;
// and the test's own handles of what is sent are gone meanwhile.
TEST(Fabric, TransfersUnderWayKeepTheirOrderAndTheirTensors) {
  const auto world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  const std::array links{fabric.link(world), fabric.link(world, Fabric::Lane::second)};
  constexpr int rounds = 6;
  std::vector<TensorLink::Pending> moved(rounds);
  std::vector<Messages> receives(rounds);
  for (int round = 0; round < rounds; ++round) {
    auto& link = *links[static_cast<std::size_t>(round % 2)];
    Round r = make_round(link, round);
    receives[static_cast<std::size_t>(round)] = r.receives;
    moved[static_cast<std::size_t>(round)] = link.start(std::move(r.sends), std::move(r.receives));
  }
  for (const std::size_t round : {3U, 0U, 5U, 1U, 2U, 4U}) {
    while (!moved[round].done()) {
    }
    moved[round].finish();
    moved[round].finish();  // once more is nothing
    expect_arrived(*links[0], receives[round], static_cast<int>(round));
  }
}

// Two messages of one start() to the same peer arrive in the order of the list.
TEST(Fabric, MessagesToOnePeerKeepTheirOrder) {
  const auto world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  const auto link = fabric.link(world);
  Messages sends, receives;
  for (int round = 0; round < 3; ++round) {
    const Round r = make_round(*link, round);
    sends.insert(sends.end(), r.sends.begin(), r.sends.end());
    receives.insert(receives.end(), r.receives.begin(), r.receives.end());
  }
  link->start(sends, receives).finish();
  const auto per_round = receives.size() / 3;
  for (std::size_t round = 0; round < 3; ++round) {
    const auto first = receives.begin() + static_cast<std::ptrdiff_t>(round * per_round);
    expect_arrived(*link, {first, first + static_cast<std::ptrdiff_t>(per_round)},
                   static_cast<int>(round));
  }
}

TEST(Fabric, ADroppedTransferFinishesItself) {
  const auto world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  const auto link = fabric.link(world);
  const Round first = make_round(*link, 1), second = make_round(*link, 2);
  {
    auto moved = link->start(first.sends, first.receives);
    moved = link->start(second.sends, second.receives);  // the first ends here
    expect_arrived(*link, first.receives, 1);
  }
  expect_arrived(*link, second.receives, 2);
}

// Messages in pieces of 1000 bytes, among groups of ranks whose numbers are not the world's.
TEST(Fabric, LinksOfGroups) {
  const auto world = Communicator::world(1000);
  Fabric fabric(world, DeviceKind::cpu);
  const auto group = world.split(world.rank() % 2);
  const auto link = fabric.link(group);
  EXPECT_EQ(link->size(), group.size());
  for (int round = 0; round < 3; ++round) {
    const Round r = make_round(*link, round);
    link->start(r.sends, r.receives).finish();
    expect_arrived(*link, r.receives, round);
  }
}

TEST(Fabric, AllGatherOfUnevenRows) {
  const auto world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  const auto link = fabric.link(world);
  auto begins = test::uneven_begins(link->size());
  const Tensor whole = test::own_rows(*link, begins);
  start_all_gather(*link, whole, begins).finish();
  EXPECT_EQ(test::wrong_rows(whole), 0);
  begins.back() += 1;
  EXPECT_THROW((void)start_all_gather(*link, whole, begins), Error);
}

TEST(Fabric, RefusesItselfStrangersAndOtherDevices) {
  const auto world = Communicator::world();
  Fabric fabric(world, DeviceKind::cpu);
  const auto link = fabric.link(world);
  const Tensor t = Tensor::zeros({2});
  EXPECT_THROW((void)link->start({{t, link->rank()}}, {}), Error);
  EXPECT_THROW((void)link->start({{t, link->size()}}, {}), Error);
  EXPECT_THROW((void)link->start({}, {{t, -1}}), Error);
  const Tensor gpu = Tensor::view(nullptr, {2}, DType::f32, DeviceKind::cuda,
                                  std::make_shared<int>());  // never read
  if (link->size() > 1) {
    const int peer = (link->rank() + 1) % link->size();
    EXPECT_THROW((void)link->start({{gpu, peer}}, {}), Error);
    EXPECT_THROW((void)link->start({{Tensor(), peer}}, {}), Error);
  }
}

}  // namespace
}  // namespace weft
