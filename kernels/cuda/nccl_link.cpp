// Messages between GPUs, on streams of their own: by copy engines within a host (peer_copies.h), by
// NCCL's kernels else.
//
// Memory of tensors comes from the pool that is ordered by the compute stream (device_api.cu). A
// transfer begins behind an event of that stream, so it finds its memory given out and its data
// written; the compute stream waits for the transfer's event at finish(), so a tensor freed after
// that, even at once, is reused by nobody before the transfer is done.
#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "weft/base/error.h"
#include "weft/device/device_link.h"

#include "nccl_handles.h"
#include "peer_copies.h"
#include "stream.h"

namespace weft {
namespace {

class NcclLink final : public DeviceLink {
 public:
  NcclLink(const DeviceLinkId& id, int rank, int size, double timeout, PeerSwap swap)
      : comm_(id, rank, size, timeout), copies_(std::move(swap), rank, size, timeout) {}

  void bring_up() override { comm_.bring_up(); }

  std::int64_t start(std::span<const TensorMessage> sends,
                     std::span<const TensorMessage> receives) override {
    copies_.meet(sends, receives);
    const auto [near_sends, far_sends] =
        by_way(sends, [&](const TensorMessage& m) { return copies_.sends(m); });
    const auto [near_receives, far_receives] =
        by_way(receives, [&](const TensorMessage& m) { return copies_.receives(m); });
    // Recording an event again leaves alone what waits for its earlier record.
    ready_.record(cuda_stream());
    std::vector<cudaStream_t> busy = copies_.exchange(near_sends, near_receives, ready_);
    if (!far_sends.empty() || !far_receives.empty()) {
      ready_.hold(stream_.get());
      comm_.exchange(far_sends, far_receives, stream_.get());
      busy.push_back(stream_.get());
    }
    std::vector<NcclEvent>& ends = under_way_[++last_];
    for (cudaStream_t stream : busy) {
      ends.push_back(take_event());
      ends.back().record(stream);
    }
    return last_;
  }

  void finish(std::int64_t number) override {
    auto transfer = under_way_.extract(number);
    WEFT_ASSERT(!transfer.empty(), "transfer {} is not under way", number);
    for (NcclEvent& end : transfer.mapped()) {
      end.hold(cuda_stream());
      free_.push_back(std::move(end));
    }
  }

  void make_room(int from, int to, const LinkRoom& room) override {
    copies_.make_room(from, to, room);
  }
  Tensor landing(int from, const Shape& shape, DType dtype) override {
    return copies_.landing(from, shape, dtype);
  }

  void check() override { comm_.check(); }

 private:
  /// Those that copies carry, and the others.
  template <class F>
  static std::array<std::vector<TensorMessage>, 2> by_way(std::span<const TensorMessage> messages,
                                                          F carried) {
    std::array<std::vector<TensorMessage>, 2> ways;
    for (const TensorMessage& m : messages) ways[carried(m) ? 0 : 1].push_back(m);
    return ways;
  }
  NcclEvent take_event() {
    if (free_.empty()) return {};
    NcclEvent event = std::move(free_.back());
    free_.pop_back();
    return event;
  }

  NcclStream stream_;  // made first: it sees to it that the process's device is chosen
  NcclEvent ready_;
  std::map<std::int64_t, std::vector<NcclEvent>> under_way_;  // ends, by the number of the transfer
  std::vector<NcclEvent> free_;
  std::int64_t last_ = 0;
  NcclComm comm_;  // destroyed before the stream: it ends what runs there
  PeerCopies copies_;
};

}  // namespace

std::string device_link_version() {
  int version = 0;
  check(ncclGetVersion(&version), "ncclGetVersion");
  return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::string device_link_transport() {
  if (!PeerCopies::wanted()) return device_link_version();
  return fmt::format("copy engines within a host, {} between hosts", device_link_version());
}

DeviceLinkId make_device_link_id() {
  ncclUniqueId made{};
  check(ncclGetUniqueId(&made), "ncclGetUniqueId");
  DeviceLinkId id{};
  static_assert(sizeof id == sizeof made);
  std::copy_n(reinterpret_cast<const std::byte*>(&made), id.size(), id.begin());
  return id;
}

std::unique_ptr<DeviceLink> make_device_link(const DeviceLinkId& id, int rank, int size,
                                             double timeout, PeerSwap swap) {
  return std::make_unique<NcclLink>(id, rank, size, timeout, std::move(swap));
}

}  // namespace weft
