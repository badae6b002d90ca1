#pragma once
// Windows of one clip on their owners: latents out to the windows, velocities blended every step,
// final latents on to the decoder's chunks. CPU float32 tensors [C, frames, rows, cols] throughout.

#include <cstdint>
#include <span>
#include <vector>

#include "weft/comm/communicator.h"
#include "weft/comm/exchange.h"
#include "weft/device/tensor.h"
#include "weft/grid/windows.h"
#include "weft/ops/ops.h"

namespace weft {

/// Latents that are decoded at a time on one rank.
struct LatentPiece {
  int index;       // position in the list of pieces
  Tensor latents;  // [C, piece box]
};

/// At every cell the blended velocity is the sum over all windows that hold it, in the order of
/// their numbers, of weight x velocity. The receiver weighs, so that each term is rounded alike
/// wherever it comes from: the bits do not depend on the number of ranks, and windows that share a
/// cell agree on it.
class WindowExchange {
 public:
  /// Collective over `comm`. `owner` has one rank per window, the same on every rank.
  WindowExchange(const Communicator& comm, WindowPlan plan, std::vector<int> owner,
                 std::int64_t channels);

  /// Windows of this rank, ascending; the order of every list of tensors below.
  [[nodiscard]] const std::vector<int>& mine() const { return mine_; }
  [[nodiscard]] const WindowPlan& plan() const { return plan_; }
  [[nodiscard]] const Communicator& comm() const { return comm_; }

  /// Cuts `volume` (read on rank 0 only) into the windows. Collective.
  [[nodiscard]] std::vector<Tensor> scatter(const Tensor& volume) const;

  /// Velocities on their way between the windows' owners.
  class Pending {
   public:
    /// The blended velocity of each of this rank's windows. A window that shares no cell with
    /// another gets its own tensor back.
    std::vector<Tensor> finish(Ops& cpu_ops);

   private:
    friend class WindowExchange;
    const WindowExchange* exchange_ = nullptr;  // outlives the transfer
    std::vector<Tensor> velocities_;
    PendingExchange moved_;
  };
  /// Starts the exchange of one step; work that needs no blended velocity may come before finish().
  /// Several may be under way when every rank starts them in the same order. Collective.
  [[nodiscard]] Pending start(std::vector<Tensor> velocities) const;

  /// Hands final latents to the owners of pieces: this rank's pieces, ascending. Each cell comes
  /// from the lowest-numbered window that holds it. Collective.
  [[nodiscard]] std::vector<LatentPiece> gather(std::span<const Tensor> latents,
                                                std::span<const Box> pieces,
                                                std::span<const int> piece_owner) const;

 private:
  [[nodiscard]] BoxTensor held(std::span<const Tensor> tensors, int window) const;
  [[nodiscard]] const Box& box_of(int window) const;
  [[nodiscard]] Shape shape_of(const Box& box) const;
  [[nodiscard]] Tensor blend(int window, std::span<const Tensor> velocities,
                             std::span<const Tensor> arrived, Ops& cpu_ops) const;

  Communicator comm_;  // of its own, so that no tag is shared with others
  WindowPlan plan_;
  std::vector<int> owner_, mine_;
  std::int64_t channels_;
  TransferPlan overlaps_;                     // to or from this rank
  std::vector<std::vector<int>> neighbours_;  // of each of mine_: windows that share cells with it
};

}  // namespace weft
