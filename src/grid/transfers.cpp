// Which boxes travel between ranks. Both sides of a transfer rely on the order of the plan.

#include <algorithm>

#include "weft/base/error.h"
#include "weft/grid/windows.h"

namespace weft {
namespace {

void check_owners(const WindowPlan& plan, std::span<const int> owner) {
  WEFT_ASSERT(owner.size() == plan.windows.size(), "{} owners for {} windows", owner.size(),
              plan.windows.size());
}

/// Which cells of each window no lower-numbered window holds, along one axis: those past the end of
/// the window before. The lowest-numbered holder of a cell is the lowest along every axis, because
/// windows are numbered frames-major over the product of the axes.
std::vector<Range> first_held(const AxisWindows& axis) {
  std::vector<Range> held = axis.ranges;
  for (std::size_t i = 1; i < held.size(); ++i) held[i].begin = axis.ranges[i - 1].end;
  return held;
}

struct AxisPart {
  int index;  // of the window along the axis
  Range cells;
};

/// The parts of `piece` that windows of one axis are the first to hold, ascending.
std::vector<AxisPart> parts_of(const Range& piece, std::span<const Range> held) {
  std::vector<AxisPart> parts;
  auto at = std::partition_point(held.begin(), held.end(),
                                 [&](const Range& r) { return r.end <= piece.begin; });
  for (; at != held.end() && at->begin < piece.end; ++at) {
    parts.push_back({static_cast<int>(at - held.begin()),
                     {std::max(at->begin, piece.begin), std::min(at->end, piece.end)}});
  }
  return parts;
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
  std::array<std::vector<Range>, 3> held;
  for (std::size_t a = 0; a < 3; ++a) held[a] = first_held(plan.axes[a]);
  const int rows = static_cast<int>(held[1].size()), cols = static_cast<int>(held[2].size());
  TransferPlan transfers;
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const auto in_rows = parts_of(pieces[p].rows(), held[1]);
    const auto in_cols = parts_of(pieces[p].cols(), held[2]);
    for (const AxisPart& t : parts_of(pieces[p].frames(), held[0])) {
      for (const AxisPart& h : in_rows) {
        for (const AxisPart& w : in_cols) {
          const int window = (t.index * rows + h.index) * cols + w.index;
          transfers.push_back({owner[static_cast<std::size_t>(window)], piece_owner[p], window,
                               static_cast<int>(p), Box{{t.cells, h.cells, w.cells}}});
        }
      }
    }
  }
  return transfers;
}

TransferPlan rewindow_plan(const WindowPlan& from, std::span<const int> from_owner,
                           const WindowPlan& to, std::span<const int> to_owner) {
  check_owners(to, to_owner);
  WEFT_ASSERT(from.volume == to.volume, "windows of {} and of {}", from.volume.str(),
              to.volume.str());
  std::vector<Box> windows;
  for (const auto& window : to.windows) windows.push_back(window.box);
  return gather_plan(from, from_owner, windows, to_owner);
}

std::vector<Box> chunk_boxes(const Box& volume, std::span<const Range> chunks) {
  std::vector<Box> boxes(chunks.size(), volume);
  for (std::size_t c = 0; c < chunks.size(); ++c) boxes[c].axis[0] = chunks[c];
  return boxes;
}

}  // namespace weft
