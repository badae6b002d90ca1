// Tensors between ranks by MPI: CPU tensors directly, CUDA tensors by way of host memory.
#include <exception>

#include "weft/base/log.h"

#include "fabric_links.h"

namespace weft {
namespace {

constexpr int tag = 0;  // one: MPI keeps the order of messages between two ranks by it

std::span<std::byte> bytes_of(const Tensor& t) { return {t.raw(), t.bytes()}; }

class MpiPending final : public TensorLink::Pending::State {
 public:
  void receive(const Communicator& comm, const TensorMessage& m) {
    tensors_.push_back(m.data);
    pending_.push_back(comm.start_receive(bytes_of(m.data), m.peer, tag));
  }
  void send(const Communicator& comm, const TensorMessage& m) {
    tensors_.push_back(m.data);
    pending_.push_back(comm.start_send(bytes_of(m.data), m.peer, tag));
  }
  void finish() override {
    for (auto& p : pending_) p.wait();
  }
  bool done() override {
    // All are asked, for each makes progress.
    bool all = true;
    for (auto& p : pending_) all &= p.done();
    return all;
  }

 private:
  std::vector<Tensor> tensors_;  // before what uses them: each Pending's end waits for its message
  std::vector<Communicator::Pending> pending_;
};

class MpiLink final : public TensorLink {
 public:
  explicit MpiLink(const Communicator& group)
      : TensorLink(group.rank(), group.size()), comm_(group.split(0)) {}

  Pending start(std::vector<TensorMessage> sends, std::vector<TensorMessage> receives) override {
    check_messages(sends, DeviceKind::cpu);
    check_messages(receives, DeviceKind::cpu);
    auto state = std::make_unique<MpiPending>();
    for (const TensorMessage& m : receives) state->receive(comm_, m);
    for (const TensorMessage& m : sends) state->send(comm_, m);
    count_sent(sends);
    return Pending(std::move(state));
  }

 private:
  Communicator comm_;
};

class StagedPending final : public TensorLink::Pending::State {
 public:
  StagedPending(TensorLink::Pending inner, std::vector<TensorMessage> host,
                std::vector<TensorMessage> receives)
      : host_(std::move(host)), receives_(std::move(receives)), inner_(std::move(inner)) {}
  // While an exception unwinds the host's messages alone are given some seconds to end.
  ~StagedPending() override {
    if (finished_ || std::uncaught_exceptions() > exceptions_) return;
    try {
      finish();
    } catch (const std::exception& e) {
      log_error("{}", e.what());
    }
  }
  StagedPending(const StagedPending&) = delete;
  StagedPending& operator=(const StagedPending&) = delete;

  void finish() override {
    finished_ = true;
    inner_.finish();
    for (std::size_t i = 0; i < host_.size(); ++i) copy(host_[i].data, receives_[i].data);
  }
  bool done() override { return inner_.done(); }

 private:
  std::vector<TensorMessage> host_, receives_;
  TensorLink::Pending inner_;
  int exceptions_ = std::uncaught_exceptions();
  bool finished_ = false;
};

class StagedLink final : public TensorLink {
 public:
  explicit StagedLink(std::unique_ptr<TensorLink> inner)
      : TensorLink(inner->rank(), inner->size()), inner_(std::move(inner)) {}

  Pending start(std::vector<TensorMessage> sends, std::vector<TensorMessage> receives) override {
    check_messages(sends, DeviceKind::cuda);
    check_messages(receives, DeviceKind::cuda);
    count_sent(sends);
    for (TensorMessage& m : sends) m.data = m.data.to(DeviceKind::cpu);
    std::vector<TensorMessage> host = receives;
    for (TensorMessage& m : host) m.data = Tensor::empty(m.data.shape(), m.data.dtype());
    auto inner = inner_->start(std::move(sends), host);
    return Pending(
        std::make_unique<StagedPending>(std::move(inner), std::move(host), std::move(receives)));
  }

 private:
  std::unique_ptr<TensorLink> inner_;
};

}  // namespace

std::unique_ptr<TensorLink> make_mpi_link(const Communicator& group) {
  return std::make_unique<MpiLink>(group);
}

std::unique_ptr<TensorLink> make_staged_link(std::unique_ptr<TensorLink> inner) {
  return std::make_unique<StagedLink>(std::move(inner));
}

}  // namespace weft
