#include "weft/parallel/team.h"

#include <algorithm>

#include "weft/parallel/cfg_halves.h"
#include "weft/parallel/context_parallel.h"

namespace weft {
namespace {

/// Into how many parts a rank's heads are cut. Fewer than 3 heads leave multiprocessors of a GPU
/// idle at the end of each part, which costs more than an exchange (bench/README.md, "Many GPUs").
int parts_of(std::int64_t heads) {
  return static_cast<int>(std::clamp<std::int64_t>(heads / 3, 1, 2));
}

}  // namespace

Team make_team(const Communicator& comm, Fabric& fabric, const ProcessGrid& grid,
               std::int64_t heads) {
  Team team;
  team.place = place_of(grid, comm.rank());
  // Ranks without a place split too, into a communicator that nobody uses.
  const int rank = comm.rank();
  const int in_group = team.place ? rank % grid.group_ranks() : grid.group_ranks();
  const int in_forward = team.place ? rank % grid.forward_ranks() : 0;
  const int forward = team.place ? rank / grid.forward_ranks() : grid.groups * grid.cfg;
  const int pair = team.place ? team.place->group * grid.forward_ranks() + in_forward
                              : grid.groups * grid.forward_ranks();
  const Communicator lane = comm.split(in_group);
  const Communicator of_forward = comm.split(forward);
  const Communicator of_pair = comm.split(pair);
  if (!team.place) return team;
  team.lane = fabric.link(lane);
  if (grid.forward_ranks() == 1) {
    team.attention = std::make_unique<LocalAttention>();
  } else {
    team.attention = std::make_unique<ContextParallelAttention>(
        fabric, of_forward, grid.ulysses, grid.ring, heads, parts_of(heads / grid.ulysses));
  }
  if (grid.cfg == 1) {
    team.branches = std::make_unique<BothBranches>();
  } else {
    team.branches = std::make_unique<CfgHalves>(fabric, of_pair);
  }
  return team;
}

}  // namespace weft
