#pragma once
// Runs a TransferPlan: `auto moved = start_exchange(...); other work; moved.finish(...);`

#include <functional>
#include <vector>

#include "weft/comm/fabric.h"
#include "weft/device/tensor.h"
#include "weft/grid/windows.h"

namespace weft {

/// A box of the volume held as a tensor [C, frames, rows, cols] on any device.
struct BoxTensor {
  Box box;
  Tensor data;
};

/// [channels, frames, rows, cols] of a box.
Shape box_shape(std::int64_t channels, const Box& box);
/// Packs cells `box` of `from` into a fresh contiguous tensor [C, ...box] on the same device.
Tensor pack_box(const BoxTensor& from, const Box& box);
/// Writes `packed` [C, ...box], on the device of `to`, into the cells `box` of `to`.
void unpack_box(const Tensor& packed, const Box& box, const BoxTensor& to);

/// The transfers of an exchange under way. Destroyed unfinished it ends like TensorLink::Pending.
class PendingExchange {
 public:
  /// Ends the exchange, then calls arrived(transfer, packed [C, ...box]) for every transfer to this
  /// rank, in plan order. On GPUs the host does not wait: what arrived() asks of the device comes
  /// after the transfer in the order of its stream.
  void finish(const std::function<void(const Transfer&, const Tensor&)>& arrived);

 private:
  friend PendingExchange start_exchange(TensorLink&, const TransferPlan&, std::int64_t,
                                        const std::function<BoxTensor(int)>&, DeviceKind);
  struct Item {
    Transfer transfer;
    Tensor packed;
  };
  std::vector<Item> to_here_;  // in plan order
  TensorLink::Pending moved_;
};

/// Starts all sends and receives of this rank together. `plan` numbers ranks as `link` does and may
/// leave out transfers between others. `channels` = C; `source(item)` gives the tensor that holds
/// from_item on `device`, float32 (asked only for transfers from this rank); transfers within the
/// rank are copied. Two messages between the same ranks keep the plan's order, and two exchanges
/// the order of their starts: several may be under way when all ranks start them in one order.
PendingExchange start_exchange(TensorLink& link, const TransferPlan& plan, std::int64_t channels,
                               const std::function<BoxTensor(int)>& source, DeviceKind device);

}  // namespace weft
