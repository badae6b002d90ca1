#include "peer_copies.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include <cuda.h>
#include <dlfcn.h>

#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/device/device_api.h"

#include "stream.h"

namespace weft {
namespace {

constexpr std::uint32_t slots = 4;
constexpr std::size_t slot_bytes = std::size_t{16} << 20;
// A piece is three entries in the queue of a stream. When that is full (some 1024), the host waits
// for the receiver; where everyone sends before the next rank receives, as the histories of the
// sharded decoder go, all would wait. 30 layers, of which half are of the longest, stay below.
constexpr std::size_t longest = 12 * slot_bytes;
constexpr std::size_t arrived_at = slots * slot_bytes;  // two counters, a cache line each
constexpr std::size_t freed_at = arrived_at + 256;
constexpr std::size_t mailbox_bytes = freed_at + 256;
static_assert(slots * slot_bytes == device_link_peer_bytes);

/// Two calls of the driver that the runtime does not have. They are looked up because a program
/// linked with the driver's library does not start on a machine without one.
struct Counters {
  decltype(&cuStreamWaitValue32) wait_value;
  decltype(&cuStreamWriteValue32) write_value;

  Counters() {
    void* driver = dlopen("libcuda.so.1", RTLD_NOW);
    const auto find = [&](auto& call, const char* name) {
      call = driver == nullptr
                 ? nullptr
                 : reinterpret_cast<std::remove_reference_t<decltype(call)>>(dlsym(driver, name));
    };
    find(wait_value, "cuStreamWaitValue32_v2");
    find(write_value, "cuStreamWriteValue32_v2");
  }
  [[nodiscard]] bool usable() const { return wait_value != nullptr && write_value != nullptr; }

  /// The stream goes on when the counter has reached n.
  void wait(cudaStream_t stream, std::byte* counter, std::uint32_t n) const {
    require(wait_value(stream, reinterpret_cast<CUdeviceptr>(counter), n, CU_STREAM_WAIT_VALUE_GEQ),
            "cuStreamWaitValue32");
  }
  /// After everything asked of the stream before, which is visible to who sees the counter.
  void write(cudaStream_t stream, std::byte* counter, std::uint32_t n) const {
    require(write_value(stream, reinterpret_cast<CUdeviceptr>(counter), n,
                        CU_STREAM_WRITE_VALUE_DEFAULT),
            "cuStreamWriteValue32");
  }

 private:
  static void require(CUresult status, const char* call) {
    if (status != CUDA_SUCCESS) fail("{}: error {} of the driver", call, static_cast<int>(status));
  }
};

const Counters& counters() {
  static const Counters found;
  return found;
}

/// What a rank tells of itself before anything is mapped.
struct Card {
  std::array<char, 40> boot;  // of the kernel it runs on: differs between hosts
  std::array<char, 24> bus;   // of its GPU
  bool willing;
};

Card own_card() {
  Card card{};
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  boot.copy(card.boot.data(), card.boot.size() - 1);
  cuda_device_bus_id().copy(card.bus.data(), card.bus.size() - 1);
  card.willing = !boot.empty() && PeerCopies::wanted() && counters().usable();
  return card;
}

/// Why this process cannot write to that GPU, or "".
std::string unreachable(const Card& peer) {
  int device = 0, own = 0, can = 0;
  check(cudaGetDevice(&own), "cudaGetDevice");
  const cudaError_t found = cudaDeviceGetByPCIBusId(&device, peer.bus.data());
  static_cast<void>(cudaGetLastError());
  if (found != cudaSuccess) return "is not visible to this process (CUDA_VISIBLE_DEVICES?)";
  check(cudaDeviceCanAccessPeer(&can, own, device), "cudaDeviceCanAccessPeer");
  return can == 1 ? "" : "has no peer access (nvidia-smi topo -p2p w)";
}

template <class T>
std::vector<std::byte> to_bytes(const T& value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

template <class T>
T from_bytes(const std::vector<std::byte>& bytes) {
  T value{};
  WEFT_ASSERT(bytes.size() == sizeof value, "{} bytes, not {}", bytes.size(), sizeof value);
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

void log_failure(cudaError_t status, const char* call) {
  if (status == cudaSuccess || status == cudaErrorCudartUnloading) return;
  log_error("{}: {}", call, cudaGetErrorString(status));
}

/// A mailbox of this GPU.
class OwnMailbox {
 public:
  OwnMailbox() {
    void* data = nullptr;
    check(cudaMalloc(&data, mailbox_bytes), "cudaMalloc of a mailbox of 64 MB");
    data_ = static_cast<std::byte*>(data);
    check(cudaMemset(data_ + arrived_at, 0, mailbox_bytes - arrived_at), "cudaMemset");
    check(cudaStreamSynchronize(nullptr), "clearing a mailbox");  // not the device: others may wait
  }
  ~OwnMailbox() { log_failure(cudaFree(data_), "cudaFree"); }
  OwnMailbox(const OwnMailbox&) = delete;
  OwnMailbox& operator=(const OwnMailbox&) = delete;
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] cudaIpcMemHandle_t handle() const {
    cudaIpcMemHandle_t handle{};
    check(cudaIpcGetMemHandle(&handle, data_), "cudaIpcGetMemHandle");
    return handle;
  }

 private:
  std::byte* data_ = nullptr;
};

/// The mailbox of a peer's GPU for this rank.
class MappedMailbox {
 public:
  explicit MappedMailbox(const cudaIpcMemHandle_t& handle) {
    void* data = nullptr;
    status_ = cudaIpcOpenMemHandle(&data, handle, cudaIpcMemLazyEnablePeerAccess);
    static_cast<void>(cudaGetLastError());
    if (status_ == cudaSuccess) data_ = static_cast<std::byte*>(data);
  }
  ~MappedMailbox() {
    if (data_ != nullptr) log_failure(cudaIpcCloseMemHandle(data_), "cudaIpcCloseMemHandle");
  }
  MappedMailbox(const MappedMailbox&) = delete;
  MappedMailbox& operator=(const MappedMailbox&) = delete;
  [[nodiscard]] std::byte* data() const { return data_; }
  /// Why it could not be mapped, or "".
  [[nodiscard]] std::string problem() const {
    if (status_ == cudaSuccess) return "";
    return fmt::format("cannot be mapped: {}", cudaGetErrorString(status_));
  }

 private:
  std::byte* data_ = nullptr;
  cudaError_t status_;
};

/// What keeps one pair apart mostly keeps all.
void warn_once(int peer, const std::string& problem) {
  static bool warned = false;
  if (std::exchange(warned, true)) return;
  log_warn("the GPU of rank {} {}: NCCL carries the messages, which is slower within a host", peer,
           problem);
}

std::byte* slot(std::byte* mailbox, std::uint32_t n) { return mailbox + n % slots * slot_bytes; }

}  // namespace

struct PeerCopies::Peer {
  std::unique_ptr<OwnMailbox> own = std::make_unique<OwnMailbox>();
  std::unique_ptr<MappedMailbox> theirs;
  std::uint32_t sent = 0, received = 0;  // pieces
};

bool PeerCopies::wanted() {
  const char* value = std::getenv("WEFT_PEER_COPIES");
  return value == nullptr || std::string_view(value) != "0";
}

PeerCopies::PeerCopies(NcclComm& comm, cudaStream_t stream, int rank, int size, double timeout)
    : comm_(comm), stream_(stream), rank_(rank), size_(size), timeout_(timeout) {}

void PeerCopies::meet(std::span<const TensorMessage> sends,
                      std::span<const TensorMessage> receives) {
  std::vector<int> fresh;
  for (const auto& list : {sends, receives}) {
    for (const TensorMessage& m : list) {
      if (!met_.contains(m.peer)) fresh.push_back(m.peer);
    }
  }
  std::ranges::sort(fresh);
  fresh.erase(std::ranges::unique(fresh).begin(), fresh.end());
  if (!fresh.empty()) introduce(fresh);
}

void PeerCopies::introduce(std::span<const int> peers) {
  const auto all = [&](const auto& value) {
    return std::vector<Bytes>(peers.size(), to_bytes(value));
  };
  const Card own = own_card();
  const std::vector<Bytes> cards = swap(peers, all(own));
  std::vector<std::string> problems(peers.size());
  std::vector<std::unique_ptr<Peer>> reached(peers.size());
  std::vector<Bytes> handles = all(cudaIpcMemHandle_t{}), answers = all(false);
  std::vector<bool> near(peers.size());
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const Card card = from_bytes<Card>(cards[i]);
    near[i] = card.boot == own.boot && card.willing && own.willing;
    if (!near[i]) continue;
    reached[i] = std::make_unique<Peer>();
    handles[i] = to_bytes(reached[i]->own->handle());
  }
  handles = swap(peers, handles);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    if (!near[i]) continue;
    problems[i] = unreachable(from_bytes<Card>(cards[i]));
    if (problems[i].empty()) {
      reached[i]->theirs =
          std::make_unique<MappedMailbox>(from_bytes<cudaIpcMemHandle_t>(handles[i]));
      problems[i] = reached[i]->theirs->problem();
    }
    answers[i] = to_bytes(problems[i].empty());
  }
  answers = swap(peers, answers);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    if (near[i] && (!problems[i].empty() || !from_bytes<bool>(answers[i]))) {
      if (!problems[i].empty()) warn_once(peers[i], problems[i]);
      reached[i]->theirs.reset();
      near[i] = false;
    }
  }
  // Memory that somebody may still have mapped is not freed.
  static_cast<void>(swap(peers, all(true)));
  for (std::size_t i = 0; i < peers.size(); ++i) {
    log_debug("ranks {} and {} exchange by {}", rank_, peers[i], near[i] ? "copies" : "NCCL");
    met_.emplace(peers[i], near[i] ? std::move(reached[i]) : nullptr);
  }
}

bool PeerCopies::carries(const TensorMessage& message) const {
  return met_.at(message.peer) != nullptr && message.data.bytes() <= longest;
}

std::vector<PeerCopies::Bytes> PeerCopies::swap(std::span<const int> peers,
                                                const std::vector<Bytes>& own) {
  const auto size = std::ssize(own.front());
  std::vector<TensorMessage> sends, receives;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const Tensor bytes = Tensor::empty({size}, DType::u8);
    std::memcpy(bytes.raw(), own[i].data(), own[i].size());
    sends.push_back({bytes.to(DeviceKind::cuda), peers[i]});
    receives.push_back({Tensor::empty({size}, DType::u8, DeviceKind::cuda), peers[i]});
  }
  NcclEvent ready, there;
  ready.record(cuda_stream());
  ready.hold(stream_);
  comm_.exchange(sends, receives, stream_);
  there.record(stream_);
  there.hold(cuda_stream());
  std::vector<Bytes> theirs;
  for (const TensorMessage& m : receives) {
    const Tensor bytes = m.data.to(DeviceKind::cpu);
    theirs.emplace_back(bytes.raw(), bytes.raw() + bytes.bytes());
  }
  return theirs;
}

std::vector<TensorMessage> PeerCopies::by_distance(std::span<const TensorMessage> messages,
                                                   int sign) const {
  std::vector<TensorMessage> sorted(messages.begin(), messages.end());
  std::ranges::stable_sort(sorted, {}, [&](const TensorMessage& m) {
    return (sign * (m.peer - rank_) + size_) % size_;
  });
  return sorted;
}

std::vector<cudaStream_t> PeerCopies::exchange(std::span<const TensorMessage> sends,
                                               std::span<const TensorMessage> receives,
                                               const NcclEvent& ready) {
  std::vector<cudaStream_t> busy;
  const auto begin = [&](const NcclStream& stream) {
    ready.hold(stream.get());
    busy.push_back(stream.get());
  };
  if (!sends.empty()) begin(sending_);
  for (const TensorMessage& m : by_distance(sends, 1)) send(*met_.at(m.peer), m.data);
  if (!receives.empty()) begin(receiving_);
  for (const TensorMessage& m : by_distance(receives, -1)) receive(*met_.at(m.peer), m.data);
  return busy;
}

void PeerCopies::send(Peer& peer, const Tensor& data) {
  cudaStream_t stream = sending_.get();
  for (std::size_t begin = 0; begin < data.bytes(); begin += slot_bytes) {
    const std::uint32_t n = ++peer.sent;
    if (n > slots) counters().wait(stream, peer.own->data() + freed_at, n - slots);
    check(cudaMemcpyAsync(slot(peer.theirs->data(), n), data.raw() + begin,
                          std::min(slot_bytes, data.bytes() - begin), cudaMemcpyDeviceToDevice,
                          stream),
          "cudaMemcpyAsync to another GPU");
    counters().write(stream, peer.theirs->data() + arrived_at, n);
  }
}

void PeerCopies::receive(Peer& peer, const Tensor& data) {
  cudaStream_t stream = receiving_.get();
  for (std::size_t begin = 0; begin < data.bytes(); begin += slot_bytes) {
    const std::uint32_t n = ++peer.received;
    counters().wait(stream, peer.own->data() + arrived_at, n);
    check(cudaMemcpyAsync(data.raw() + begin, slot(peer.own->data(), n),
                          std::min(slot_bytes, data.bytes() - begin), cudaMemcpyDeviceToDevice,
                          stream),
          "cudaMemcpyAsync from a mailbox");
    counters().write(stream, peer.theirs->data() + freed_at, n);
  }
}

bool PeerCopies::idle() const {
  for (const NcclStream* stream : {&sending_, &receiving_}) {
    const cudaError_t status = cudaStreamQuery(stream->get());
    if (status == cudaErrorNotReady) return false;
    check(status, "waiting for transfers between GPUs");
  }
  return true;
}

void PeerCopies::close() {
  const auto begin = std::chrono::steady_clock::now();
  while (!idle()) {
    if (std::chrono::steady_clock::now() - begin > std::chrono::duration<double>(timeout_)) {
      fail("transfers between GPUs of one host have not ended in {:.0f} s", timeout_);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  std::vector<int> reached;
  for (const auto& [number, peer] : met_) {
    if (peer != nullptr) reached.push_back(number);
  }
  if (reached.empty()) return;
  const std::vector<Bytes> nothing(reached.size(), to_bytes(true));
  static_cast<void>(swap(reached, nothing));  // their streams are done with our mailboxes, too
  for (const int number : reached) met_.at(number)->theirs.reset();
  static_cast<void>(swap(reached, nothing));  // nobody has our mailboxes mapped any more
}

// Streams that wait for a counter would be waited for at the end of the process.
void PeerCopies::let_go() noexcept {
  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) return;
  for (const auto& [number, peer] : met_) {
    if (peer == nullptr) continue;
    for (const auto& [at, n] : {std::pair{arrived_at, peer->received}, {freed_at, peer->sent}}) {
      log_failure(
          cudaMemcpyAsync(peer->own->data() + at, &n, sizeof n, cudaMemcpyHostToDevice, stream),
          "cudaMemcpyAsync of a counter");
    }
    // A peer may use its mailbox yet: memory and mapping stay until the process ends.
    static_cast<void>(peer->own.release());
    static_cast<void>(peer->theirs.release());
  }
  log_failure(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

PeerCopies::~PeerCopies() {
  try {
    if (std::uncaught_exceptions() > exceptions_) {
      let_go();
    } else {
      close();
    }
  } catch (const std::exception& e) {
    log_error("{}", e.what());
    let_go();
  }
}

}  // namespace weft
