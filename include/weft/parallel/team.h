#pragma once
// The place of this rank in the process grid, and its links to the ranks that it shares work with.

#include <memory>
#include <optional>

#include "weft/comm/fabric.h"
#include "weft/diffusion/branches.h"
#include "weft/grid/process_grid.h"
#include "weft/model/attention.h"

namespace weft {

struct Team {
  std::optional<GridPlace> place;            // nothing: this rank only decodes
  std::unique_ptr<TensorLink> lane;          // the ranks at this position of every group
  std::unique_ptr<SelfAttention> attention;  // tokens of a forward, shared out
  std::unique_ptr<BranchShare> branches;     // halves of guidance

  /// Answers for its group's windows: the first of its ranks.
  [[nodiscard]] bool leads() const {
    return place && place->half == 0 && place->ring == 0 && place->ulysses == 0;
  }
};

/// `heads`: of the transformer. Collective over `comm`, the ranks of a job, of which grid.ranks()
/// get a place. `fabric` must outlive the team.
Team make_team(const Communicator& comm, Fabric& fabric, const ProcessGrid& grid,
               std::int64_t heads);

}  // namespace weft
