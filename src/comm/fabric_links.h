#pragma once
// The three kinds of TensorLink a Fabric chooses from.

#include <memory>
#include <vector>

#include "weft/comm/fabric.h"

namespace weft {

/// CPU tensors by MPI, on a communicator of its own. Collective over `group`.
std::unique_ptr<TensorLink> make_mpi_link(const Communicator& group);

/// CUDA tensors by way of host memory and `inner`, a link of CPU tensors. The host waits for the
/// compute stream in start() and for the messages in finish().
std::unique_ptr<TensorLink> make_staged_link(std::unique_ptr<TensorLink> inner);

/// CUDA tensors by `device`, whose peers are ranks of the world; ranks[r]: the world's number of
/// rank r of the group.
std::unique_ptr<TensorLink> make_nccl_link(std::shared_ptr<DeviceLink> device, int rank,
                                           std::vector<int> ranks);

}  // namespace weft
