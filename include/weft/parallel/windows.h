#pragma once
// Windows of one clip on their owners: latents out to the windows, velocities blended every step,
// latents on to other windows or to the decoder's pieces. All tensors are float32 [C, frames, rows,
// cols] on one device, and stay there.

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "weft/comm/exchange.h"
#include "weft/comm/fabric.h"
#include "weft/device/tensor.h"
#include "weft/grid/windows.h"
#include "weft/ops/ops.h"

namespace weft {

/// At every cell the blended velocity is the sum over all windows that hold it, in the order of
/// their numbers, of weight x velocity. The receiver weighs, so that each term is rounded alike
/// wherever it comes from: the bits do not depend on the number of ranks, and windows that share a
/// cell agree on it.
///
/// When a window is computed by a group of ranks, all of them hold its latents. The ranks at one
/// position of every group make a link of their own (a lane); the lanes exchange side by side and
/// come to the same values.
class WindowExchange {
 public:
  /// `owner` has one rank of `link` per window, the same on every rank. Nothing is sent here, so a
  /// new one may be made for every step. `link` must outlive it.
  WindowExchange(TensorLink& link, WindowPlan plan, std::vector<int> owner, std::int64_t channels,
                 DeviceKind device);

  /// Windows of this rank, ascending; the order of every list of tensors below.
  [[nodiscard]] const std::vector<int>& mine() const { return mine_; }
  [[nodiscard]] const WindowPlan& plan() const { return plan_; }
  [[nodiscard]] const TensorLink& link() const { return *link_; }

  /// Cuts `volume` [C, volume] (read on rank 0 of the link only; on the host or the device) into
  /// the windows. Collective over the link.
  [[nodiscard]] std::vector<Tensor> scatter(const Tensor& volume) const;

  /// Velocities on their way between the windows' owners.
  class Pending {
   public:
    /// The blended velocity of each of this rank's windows. A window that shares no cell with
    /// another gets its own tensor back. `ops` computes on the device of the exchange.
    std::vector<Tensor> finish(Ops& ops);

   private:
    friend class WindowExchange;
    const WindowExchange* exchange_ = nullptr;  // outlives the transfer
    std::vector<Tensor> velocities_;
    PendingExchange moved_;
  };
  /// Starts the exchange of one step; work that needs no blended velocity may come before finish().
  /// Several may be under way when every rank starts them in the same order. Collective.
  [[nodiscard]] Pending start(std::vector<Tensor> velocities) const;

 private:
  friend std::vector<Tensor> rewindow(const WindowExchange&, const WindowExchange&,
                                      std::span<const Tensor>);
  [[nodiscard]] BoxTensor held(std::span<const Tensor> tensors, int window) const;
  [[nodiscard]] const Box& box_of(int window) const;
  [[nodiscard]] Tensor blend(int window, std::span<const Tensor> velocities,
                             std::span<const Tensor> arrived, Ops& ops) const;

  TensorLink* link_;
  WindowPlan plan_;
  std::vector<int> owner_, mine_;
  std::int64_t channels_;
  DeviceKind device_;
  TransferPlan overlaps_;                     // to or from this rank
  std::vector<std::vector<int>> neighbours_;  // of each of mine_: windows that share cells with it
};

/// Carries a value per cell (latents, or a tensor of the solver's history) from the windows of one
/// step to those of the next: `tensors` of from.mine() become the result, of to.mine(). Each cell
/// comes from the lowest-numbered window that holds it; windows agree wherever they overlap, so
/// nothing is lost or rounded. Both exchanges are of one link and one volume. The result shares no
/// memory with `tensors`. Collective over the link.
[[nodiscard]] std::vector<Tensor> rewindow(const WindowExchange& from, const WindowExchange& to,
                                           std::span<const Tensor> tensors);

/// Latents that are decoded at a time on one rank.
struct LatentPiece {
  int index;       // position in the list of pieces
  Tensor latents;  // [C, piece box]
};

/// Hands final latents to the owners of pieces: this rank's pieces, ascending, on `device`. Each
/// cell comes from the lowest-numbered window that holds it. Collective over `all`, every rank of
/// the job: `owner` (by window) and `piece_owner` (by piece) count in it, and where several ranks
/// hold a window, owner names the one that sends it. `latents`: by window, on `device`; those that
/// `owner` gives to this rank must be there, others are ignored.
[[nodiscard]] std::vector<LatentPiece> gather_pieces(TensorLink& all, const WindowPlan& plan,
                                                     std::span<const int> owner,
                                                     std::int64_t channels, DeviceKind device,
                                                     const std::map<int, Tensor>& latents,
                                                     std::span<const Box> pieces,
                                                     std::span<const int> piece_owner);

}  // namespace weft
