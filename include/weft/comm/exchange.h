#pragma once
// Runs a TransferPlan: `auto moved = start_exchange(...); other work; moved.finish();`

#include <functional>
#include <vector>

#include "weft/comm/communicator.h"
#include "weft/device/tensor.h"
#include "weft/grid/windows.h"

namespace weft {

/// A box of the volume held as a CPU tensor [C, frames, rows, cols].
struct BoxTensor {
  Box box;
  Tensor data;
};

/// Packs cells `box` of `from` into a fresh contiguous tensor [C, ...box].
Tensor pack_box(const BoxTensor& from, const Box& box);
/// Writes `packed` [C, ...box] into the cells `box` of `to`.
void unpack_box(const Tensor& packed, const Box& box, const BoxTensor& to);

class PendingExchange {
 public:
  /// For every transfer to this rank, in plan order: receives it and calls
  /// arrived(transfer, packed [C, ...box]). Then waits for this rank's own sends.
  void finish(const std::function<void(const Transfer&, const Tensor&)>& arrived);

 private:
  friend PendingExchange start_exchange(const Communicator&, const TransferPlan&, std::int64_t,
                                        const std::function<BoxTensor(int)>&, int);
  struct Item {
    Transfer transfer;
    Tensor packed;
    Communicator::Pending pending;
  };
  std::vector<Item> sends_, receives_;
};

/// Posts all receives and sends of this rank. `channels` = C; `source(item)` gives the tensor that
/// holds from_item (asked only for transfers from this rank); transfers within the rank are copied
/// without MPI. `tag` must differ between exchanges that are under way at the same time.
PendingExchange start_exchange(const Communicator& comm, const TransferPlan& plan,
                               std::int64_t channels, const std::function<BoxTensor(int)>& source,
                               int tag);

}  // namespace weft
