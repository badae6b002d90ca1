// Messages between GPUs by NCCL, on a stream of their own.
//
// Memory of tensors comes from the pool that is ordered by the compute stream (device_api.cu). A
// transfer begins behind an event of that stream, so it finds its memory given out and its data
// written; the compute stream waits for the transfer's event at finish(), so a tensor freed after
// that, even at once, is reused by nobody before the transfer is done.
#include <algorithm>
#include <map>
#include <vector>

#include "weft/base/error.h"
#include "weft/device/device_link.h"

#include "nccl_handles.h"
#include "stream.h"

namespace weft {
namespace {

class NcclLink final : public DeviceLink {
 public:
  NcclLink(const DeviceLinkId& id, int rank, int size, double timeout)
      : comm_(id, rank, size, timeout) {}

  std::int64_t start(std::span<const TensorMessage> sends,
                     std::span<const TensorMessage> receives) override {
    // Recording an event again leaves alone what waits for its earlier record.
    ready_.record(cuda_stream());
    ready_.hold(stream_.get());
    comm_.exchange(sends, receives, stream_.get());
    NcclEvent sent = take_event();
    sent.record(stream_.get());
    under_way_.emplace(++last_, std::move(sent));
    return last_;
  }

  void finish(std::int64_t number) override {
    auto transfer = under_way_.extract(number);
    WEFT_ASSERT(!transfer.empty(), "transfer {} is not under way", number);
    transfer.mapped().hold(cuda_stream());
    free_.push_back(std::move(transfer.mapped()));
  }

  void check() override { comm_.check(); }

 private:
  NcclEvent take_event() {
    if (free_.empty()) return {};
    NcclEvent event = std::move(free_.back());
    free_.pop_back();
    return event;
  }

  NcclStream stream_;  // made first: it sees to it that the process's device is chosen
  NcclEvent ready_;
  std::map<std::int64_t, NcclEvent> under_way_;  // by the number of the transfer
  std::vector<NcclEvent> free_;
  std::int64_t last_ = 0;
  NcclComm comm_;  // destroyed first: it ends what runs on the stream
};

}  // namespace

std::string device_link_version() {
  int version = 0;
  check(ncclGetVersion(&version), "ncclGetVersion");
  return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
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
                                             double timeout) {
  return std::make_unique<NcclLink>(id, rank, size, timeout);
}

}  // namespace weft
