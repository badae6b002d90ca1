// The golden jobs with every forward shared by all ranks, in every way of arranging them as
// cfg x ulysses x ring, against one rank and against the reference.
#include <cstring>

#include "weft/device/device_api.h"
#include "weft/parallel/team.h"

#include "golden/golden_sampling.h"
#include "support/mpi_main.h"
#include "support/tolerance.h"

namespace weft::test {
namespace {

// A ring takes the sums of attention in another order; through all layers and steps that stays
// below what float32 may differ from the reference.
constexpr double of_one_rank = 1e-5;

/// Every cfg x ulysses x ring of exactly so many ranks, no more ulysses ranks than heads.
std::vector<ProcessGrid> all_grids(int ranks, bool guided, std::int64_t heads) {
  std::vector<ProcessGrid> grids;
  for (const int cfg : {1, 2}) {
    if (ranks % cfg != 0 || (cfg == 2 && !guided)) continue;
    const int forward = ranks / cfg;
    for (int ulysses = 1; ulysses <= forward && ulysses <= heads; ++ulysses) {
      if (forward % ulysses == 0) grids.push_back({1, cfg, ulysses, forward / ulysses});
    }
  }
  return grids;
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

void run_folder(const fs::path& folder, const Communicator& world) {
  const Golden golden(folder);
  Problems problems;
  const ModelFolder model = ModelFolder::read(golden.path, problems);
  problems.throw_if_any();
  const auto ops = make_cpu_ops(1);
  GoldenSampling sampling(golden, model, *ops);
  const Tensor image = golden.has("i2v.condition") ? golden.tensor("i2v.condition") : Tensor();
  LocalAttention attention;
  BothBranches branches;
  const Tensor alone = sampling.run("unipc", {}, attention, branches);
  const Tensor image_alone =
      image.defined() ? sampling.run("unipc", image, attention, branches) : Tensor();
  const Tensor steps = golden.tensor("unipc.latents_per_step");  // [steps, C, T, H, W]
  const std::int64_t cells = alone.numel();
  const auto reference = steps.span().last(static_cast<std::size_t>(cells));

  Fabric fabric(world, DeviceKind::cpu);
  fabric.prepare();
  const double scale = golden.job["guidance_scale"];
  for (const ProcessGrid& grid : all_grids(world.size(), scale > 1, sampling.heads())) {
    Team team = make_team(world, fabric, grid, sampling.heads());
    const Tensor shared = sampling.run("unipc", {}, *team.attention, *team.branches);
    const double apart = relative_error(shared.span(), alone.span());
    if (world.rank() == 0) {
      std::printf("  %-24s %-36s %.1e from one rank, %.1e from the reference\n",
                  folder.filename().c_str(), grid.str().c_str(), apart,
                  relative_error(shared.span(), reference));
    }
    EXPECT_LE(apart, of_one_rank) << folder << ", " << grid.str();
    EXPECT_LE(relative_error(shared.span(), reference), golden_f32) << folder << ", " << grid.str();
    if (grid.ring == 1) {
      EXPECT_TRUE(same_bytes(shared, alone)) << folder << ", " << grid.str();
    }
    if (image.defined()) {
      const Tensor shown = sampling.run("unipc", image, *team.attention, *team.branches);
      EXPECT_LE(relative_error(shown.span(), image_alone.span()), of_one_rank)
          << folder << " from a first frame, " << grid.str();
    }
  }
}

TEST(GoldenShared, EveryGridAgreesWithOneRankAndTheReference) {
  const Communicator world = Communicator::world();
  int folders = 0;
  for (const fs::path& folder : golden_folders()) {
    // Twenty steps of the demo model on up to eight ranks add time, and nothing that the others
    // lack.
    if (folder.filename() == "weft-mini" && world.size() > 2) continue;
    run_folder(folder, world);
    ++folders;
  }
  EXPECT_GE(folders, 1);
}

}  // namespace
}  // namespace weft::test
