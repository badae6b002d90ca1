// Velocities swapped between the halves of a group.
#include <cstring>

#include "weft/parallel/cfg_halves.h"

#include "support/mpi_main.h"

namespace weft {
namespace {

/// Values that tell rank, step and place.
Tensor velocity(int rank, int step) {
  Tensor x = Tensor::empty({4, 3, 2, 5});
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data<float>()[i] = static_cast<float>(1000 * rank + 200 * step + i);
  }
  return x;
}

// Rank i of the first half works with rank i of the second: a pair that is crossed, a step that
// overtakes another or a velocity that comes back to its sender would show.
TEST(CfgHalves, CorrespondingRanksSwapVelocities) {
  const auto world = Communicator::world();
  const int half = world.size() / 2;
  Fabric fabric(world, DeviceKind::cpu);
  const auto ops = make_cpu_ops(1);
  const bool left_over = world.rank() == 2 * half;  // of an odd number
  const Communicator pair = world.split(left_over ? half : world.rank() % half);
  if (left_over) return;

  CfgHalves branches(fabric, pair);
  const bool first = world.rank() < half;
  EXPECT_EQ(branches.computes(Branch::cond), first);
  EXPECT_EQ(branches.computes(Branch::uncond), !first);
  const int peer = first ? world.rank() + half : world.rank() - half;
  for (int step = 0; step < 5; ++step) {
    const Tensor mine = velocity(world.rank(), step);
    const Tensor other = branches.exchange(*ops, mine);
    const Tensor expected = velocity(peer, step);
    ASSERT_EQ(other.shape(), expected.shape());
    EXPECT_EQ(std::memcmp(other.raw(), expected.raw(), other.bytes()), 0) << "step " << step;
    EXPECT_EQ(std::memcmp(mine.raw(), velocity(world.rank(), step).raw(), mine.bytes()), 0);
  }
  EXPECT_EQ(branches.bytes_sent(), 5 * static_cast<std::int64_t>(velocity(0, 0).bytes()));
}

}  // namespace
}  // namespace weft
