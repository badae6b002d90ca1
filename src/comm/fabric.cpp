#include "weft/comm/fabric.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include <unistd.h>

#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/device/device_api.h"

#include "fabric_links.h"

namespace weft {

void TensorLink::Pending::finish() {
  // Let go of first: what fails is not to be finished once more by its end.
  const std::unique_ptr<State> state = std::move(state_);
  if (state != nullptr) state->finish();
}

bool TensorLink::Pending::done() { return state_ == nullptr || state_->done(); }

void TensorLink::check_messages(std::vector<TensorMessage>& messages, DeviceKind device) const {
  for (const TensorMessage& m : messages) {
    WEFT_ASSERT(m.peer >= 0 && m.peer < size_ && m.peer != rank_,
                "rank {} of {} exchanges a tensor with rank {}", rank_, size_, m.peer);
    WEFT_ASSERT(m.data.defined() && m.data.device() == device, "a message without a {} tensor",
                device_name(device));
  }
  std::erase_if(messages, [](const TensorMessage& m) { return m.data.bytes() == 0; });
}

void TensorLink::count_sent(std::span<const TensorMessage> sends) {
  for (const TensorMessage& m : sends) {
    bytes_sent_ += static_cast<std::int64_t>(m.data.bytes());
    if (all_sent_ != nullptr) *all_sent_ += static_cast<std::int64_t>(m.data.bytes());
  }
}

void TensorLink::make_room(int /*from*/, int /*to*/, const LinkRoom& /*room*/) {}

Tensor TensorLink::landing(int /*from*/, const Shape& shape, DType dtype, DeviceKind device) {
  return Tensor::empty(shape, dtype, device);
}

TensorLink::Pending start_all_gather(TensorLink& link, const Tensor& whole,
                                     std::span<const std::int64_t> begins) {
  const int size = link.size();
  WEFT_ASSERT(std::ssize(begins) == size + 1 && begins.front() == 0 &&
                  begins.back() == whole.dim(0) && std::ranges::is_sorted(begins),
              "rows of {} ranks do not make up {}", size, whole.shape().str());
  const auto part = [&](int rank) {
    return whole.slice(begins[static_cast<std::size_t>(rank)],
                       begins[static_cast<std::size_t>(rank) + 1]);
  };
  std::vector<TensorMessage> sends, receives;
  // The next rank first: otherwise all would begin with rank 0.
  for (int i = 1; i < size; ++i) {
    const int to = (link.rank() + i) % size;
    const int from = (link.rank() + size - i) % size;
    sends.push_back({part(link.rank()), to});
    receives.push_back({part(from), from});
  }
  return link.start(std::move(sends), std::move(receives));
}

namespace {

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) fail("this host has no name");
  return name.data();
}

/// "ranks 0 and 1 on GPU 0000:01:00.0 of node7", or "" when every rank of `world` has a GPU of its
/// own. The same answer on every rank; collective.
std::string shared_gpu(const Communicator& world) {
  const auto places =
      world.gather_strings(fmt::format("GPU {} of {}", cuda_device_bus_id(), host_name()), 0);
  std::string shared;
  std::map<std::string, std::size_t> first;
  for (std::size_t r = 0; r < places.size() && shared.empty(); ++r) {
    const auto [other, alone] = first.emplace(places[r], r);
    if (!alone) shared = fmt::format("ranks {} and {} on {}", other->second, r, places[r]);
  }
  world.broadcast_string(shared, 0);
  return shared;
}

std::vector<HostBytes> swap_bytes(const Communicator& world, int tag, std::span<const int> peers,
                                  std::span<const HostBytes> own) {
  std::vector<HostBytes> theirs(own.begin(), own.end());
  std::vector<Communicator::Pending> under_way;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    under_way.push_back(world.start_receive(theirs[i], peers[i], tag));
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    under_way.push_back(world.start_send(own[i], peers[i], tag));
  }
  for (auto& transfer : under_way) transfer.wait();
  return theirs;
}

/// `tag`: of a lane. `world` outlives the link.
std::shared_ptr<DeviceLink> make_world_link(const Communicator& world, int tag, double timeout) {
  DeviceLinkId id{};
  if (world.rank() == 0) id = make_device_link_id();
  world.broadcast(id, 0);
  return make_device_link(
      id, world.rank(), world.size(), timeout,
      [&world, tag](std::span<const int> peers, std::span<const HostBytes> own) {
        return swap_bytes(world, tag, peers, own);
      });
}

/// The world's numbers of the ranks of `group`. Collective over it.
std::vector<int> world_ranks(const Communicator& group, int own) {
  std::string text;
  for (const std::string& rank : group.gather_strings(std::to_string(own), 0)) text += rank + " ";
  group.broadcast_string(text, 0);
  std::vector<int> ranks;
  for (std::size_t at = 0; at < text.size(); at = text.find(' ', at) + 1) {
    ranks.push_back(std::stoi(text.substr(at)));
  }
  return ranks;
}

/// A byte from everyone to everyone. NCCL connects two ranks at their first message, for which the
/// host waits until both have come: done here, where both do, no later start() waits for a peer.
void greet(TensorLink& link) {
  const Tensor bytes = Tensor::zeros({link.size()}, DType::u8, DeviceKind::cuda);
  std::vector<std::int64_t> begins;
  for (int r = 0; r <= link.size(); ++r) begins.push_back(r);
  start_all_gather(link, bytes, begins).finish();
}

}  // namespace

struct Fabric::Impl {
  Communicator world;
  DeviceKind device;
  double timeout;
  std::shared_ptr<std::int64_t> bytes_sent = std::make_shared<std::int64_t>(0);
  bool prepared = false;
  bool staged = false;                                 // ranks share a GPU
  std::array<std::shared_ptr<DeviceLink>, 2> lanes{};  // by Lane; none where NCCL is not used
};

Fabric::Fabric(const Communicator& world, DeviceKind device, double timeout)
    : impl_(std::make_unique<Impl>(
          Impl{.world = world.split(0), .device = device, .timeout = timeout})) {}
Fabric::~Fabric() = default;

void Fabric::prepare() {
  Impl& f = *impl_;
  if (f.prepared || f.device == DeviceKind::cpu || f.world.size() == 1) return;
  f.prepared = true;
  const std::string shared = shared_gpu(f.world);
  f.staged = !shared.empty();
  if (!f.staged) {
    for (std::size_t lane = 0; lane < f.lanes.size(); ++lane) {
      f.lanes[lane] = make_world_link(f.world, static_cast<int>(lane), f.timeout);
    }
  } else if (f.world.rank() == 0) {
    log_warn(
        "{}: tensors between ranks go through host memory, which is slow; give every rank a "
        "GPU of its own",
        shared);
  }
}

std::unique_ptr<TensorLink> Fabric::link(const Communicator& group, Lane lane) {
  auto made = make_link(group, lane);
  made->all_sent_ = impl_->bytes_sent;
  return made;
}

DeviceKind Fabric::device() const { return impl_->device; }

std::int64_t Fabric::bytes_sent() const { return *impl_->bytes_sent; }

std::unique_ptr<TensorLink> Fabric::make_link(const Communicator& group, Lane lane) {
  Impl& f = *impl_;
  if (f.device == DeviceKind::cpu || group.size() == 1) return make_mpi_link(group);
  prepare();
  if (f.staged) return make_staged_link(make_mpi_link(group));
  for (const auto& each : f.lanes) each->bring_up();
  auto made = make_nccl_link(f.lanes[static_cast<std::size_t>(lane)], group.rank(),
                             world_ranks(group, f.world.rank()));
  greet(*made);
  return made;
}

void Fabric::check() {
  for (const auto& lane : impl_->lanes) {
    if (lane != nullptr) lane->check();
  }
}

}  // namespace weft
