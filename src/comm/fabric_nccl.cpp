// CUDA tensors between ranks of a group by the DeviceLink of a lane, which knows the world's ranks.
#include <exception>

#include "weft/base/error.h"
#include "weft/base/log.h"

#include "fabric_links.h"

namespace weft {
namespace {

class NcclPending final : public TensorLink::Pending::State {
 public:
  NcclPending(std::shared_ptr<DeviceLink> link, std::int64_t number,
              std::vector<TensorMessage> sends, std::vector<TensorMessage> receives)
      : link_(std::move(link)),
        number_(number),
        sends_(std::move(sends)),
        receives_(std::move(receives)) {}
  // Without finish() the memory of the tensors would be given to others while the transfer still
  // uses it. The host does not wait for that.
  ~NcclPending() override {
    if (finished_) return;
    try {
      link_->finish(number_);
    } catch (const std::exception& e) {
      log_error("{}", e.what());
    }
  }
  NcclPending(const NcclPending&) = delete;
  NcclPending& operator=(const NcclPending&) = delete;

  void finish() override {
    finished_ = true;
    link_->finish(number_);
  }
  bool done() override { return true; }

 private:
  std::shared_ptr<DeviceLink> link_;
  std::int64_t number_;
  std::vector<TensorMessage> sends_, receives_;
  bool finished_ = false;
};

class NcclLink final : public TensorLink {
 public:
  NcclLink(std::shared_ptr<DeviceLink> device, int rank, std::vector<int> ranks)
      : TensorLink(rank, static_cast<int>(ranks.size())),
        device_(std::move(device)),
        ranks_(std::move(ranks)) {}

  Pending start(std::vector<TensorMessage> sends, std::vector<TensorMessage> receives) override {
    check_messages(sends, DeviceKind::cuda);
    check_messages(receives, DeviceKind::cuda);
    if (sends.empty() && receives.empty()) return {};
    for (auto* list : {&sends, &receives}) {
      for (TensorMessage& m : *list) m.peer = world_rank(m.peer);
    }
    const std::int64_t number = device_->start(sends, receives);
    count_sent(sends);
    return Pending(
        std::make_unique<NcclPending>(device_, number, std::move(sends), std::move(receives)));
  }

  void make_room(int from, int to, const LinkRoom& room) override {
    device_->make_room(from < 0 ? from : world_rank(from), to < 0 ? to : world_rank(to), room);
  }

  Tensor landing(int from, const Shape& shape, DType dtype, DeviceKind device) override {
    WEFT_ASSERT(device == DeviceKind::cuda, "space for a message on {}", device_name(device));
    return device_->landing(world_rank(from), shape, dtype);
  }

 private:
  [[nodiscard]] int world_rank(int rank) const { return ranks_[static_cast<std::size_t>(rank)]; }

  std::shared_ptr<DeviceLink> device_;
  std::vector<int> ranks_;
};

}  // namespace

std::unique_ptr<TensorLink> make_nccl_link(std::shared_ptr<DeviceLink> device, int rank,
                                           std::vector<int> ranks) {
  return std::make_unique<NcclLink>(std::move(device), rank, std::move(ranks));
}

}  // namespace weft
