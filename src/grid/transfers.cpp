// Which boxes travel between ranks. Both sides of a transfer rely on the order of the plan.

#include "weft/base/error.h"
#include "weft/grid/windows.h"

namespace weft {
namespace {

void check_owners(const WindowPlan& plan, std::span<const int> owner) {
  WEFT_ASSERT(owner.size() == plan.windows.size(), "{} owners for {} windows", owner.size(),
              plan.windows.size());
}

/// The cells of a window that no lower-numbered window holds. Along one axis those are the cells
/// past the end of the window before; the lowest-numbered holder of a cell is the lowest along
/// every axis, because windows are numbered frames-major over the product of the axes.
Box first_held(const WindowPlan& plan, const WindowPlan::Window& window) {
  Box box = window.box;
  for (std::size_t a = 0; a < 3; ++a) {
    const auto i = static_cast<std::size_t>(window.index[a]);
    if (i > 0) box.axis[a].begin = plan.axes[a].ranges[i - 1].end;
  }
  return box;
}

}  // namespace

TransferPlan overlap_plan(const WindowPlan& plan, std::span<const int> owner) {
  check_owners(plan, owner);
  TransferPlan transfers;
  for (std::size_t to = 0; to < owner.size(); ++to) {
    for (const int from : overlapping_windows(plan, static_cast<int>(to))) {
      const auto f = static_cast<std::size_t>(from);
      if (owner[f] == owner[to]) continue;
      const auto common = intersect(plan.windows[f].box, plan.windows[to].box);
      WEFT_ASSERT(common.has_value(), "windows {} and {} share no cell", from, to);
      transfers.push_back({owner[f], owner[to], from, static_cast<int>(to), *common});
    }
  }
  return transfers;
}

TransferPlan scatter_plan(const WindowPlan& plan, std::span<const int> owner) {
  check_owners(plan, owner);
  TransferPlan transfers;
  for (std::size_t w = 0; w < owner.size(); ++w) {
    transfers.push_back({0, owner[w], 0, static_cast<int>(w), plan.windows[w].box});
  }
  return transfers;
}

TransferPlan gather_plan(const WindowPlan& plan, std::span<const int> owner,
                         std::span<const Box> pieces, std::span<const int> piece_owner) {
  check_owners(plan, owner);
  WEFT_ASSERT(pieces.size() == piece_owner.size(), "{} owners for {} pieces", piece_owner.size(),
              pieces.size());
  std::vector<Box> held;
  for (const auto& window : plan.windows) held.push_back(first_held(plan, window));
  TransferPlan transfers;
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    for (std::size_t w = 0; w < held.size(); ++w) {
      if (const auto box = intersect(held[w], pieces[p])) {
        transfers.push_back(
            {owner[w], piece_owner[p], static_cast<int>(w), static_cast<int>(p), *box});
      }
    }
  }
  return transfers;
}

std::vector<Box> chunk_boxes(const Box& volume, std::span<const Range> chunks) {
  std::vector<Box> boxes(chunks.size(), volume);
  for (std::size_t c = 0; c < chunks.size(); ++c) boxes[c].axis[0] = chunks[c];
  return boxes;
}

}  // namespace weft
