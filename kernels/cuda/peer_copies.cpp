#include "peer_copies.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <ranges>
#include <string>
#include <thread>
#include <utility>

#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/device/device_api.h"

#include "mailbox.h"
#include "stream.h"

namespace weft {
namespace {

constexpr std::uint32_t most_pieces = 45;  // of a message: device_link_pieces

bool short_enough(const MailboxSize& mailbox, std::size_t bytes) {
  return mailbox.pieces_of(bytes) <= most_pieces;
}

/// What a rank tells of itself before anything is mapped.
struct Card {
  std::array<char, 40> boot;  // of the kernel it runs on: differs between hosts
  std::array<char, 24> bus;   // of its GPU
  bool willing;
  MailboxSize size;  // of its mailbox for the other
};

Card own_card() {
  Card card{};
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  boot.copy(card.boot.data(), card.boot.size() - 1);
  cuda_device_bus_id().copy(card.bus.data(), card.bus.size() - 1);
  card.willing = !boot.empty() && PeerCopies::wanted() && stream_counters_usable();
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

/// What keeps one pair apart mostly keeps all.
void warn_once(int peer, const std::string& problem) {
  static bool warned = false;
  if (std::exchange(warned, true)) return;
  log_warn("the GPU of rank {} {}: NCCL carries the messages, which is slower within a host", peer,
           problem);
}

}  // namespace

struct PeerCopies::Peer {
  /// What has come, or will, and the sender has not been told that it has left.
  struct Arrival {
    std::uint32_t last;            // piece
    std::weak_ptr<void> reader;    // expired: its slots may be used again
    std::byte* landing = nullptr;  // where it is read, or nullptr: it was copied
  };
  LinkRoom room;  // of this rank's mailbox
  std::unique_ptr<OwnMailbox> own;
  std::unique_ptr<MappedMailbox> theirs;
  std::uint32_t sent = 0, received = 0;  // pieces, also slots left out
  std::deque<Arrival> arrivals;
};

bool PeerCopies::wanted() {
  const char* value = std::getenv("WEFT_PEER_COPIES");
  return value == nullptr || std::string_view(value) != "0";
}

PeerCopies::PeerCopies(PeerSwap swap, int rank, int size, double timeout)
    : swap_(std::move(swap)), rank_(rank), size_(size), timeout_(timeout) {}

void PeerCopies::meet(std::span<const TensorMessage> sends,
                      std::span<const TensorMessage> receives) {
  std::map<int, LinkRoom> fresh;
  for (const auto& list : {sends, receives}) {
    for (const TensorMessage& m : list) {
      if (!met_.contains(m.peer)) fresh[m.peer] = {};
    }
  }
  if (!fresh.empty()) introduce(fresh);
}

void PeerCopies::make_room(int from, int to, const LinkRoom& asked) {
  LinkRoom room = asked;
  const std::size_t piece = std::max(room.piece, device_link_piece_bytes);
  if (room.landing > most_pieces * piece) room.landing = 0;  // NCCL carries those
  // Both sides of a pair find the same: what one has of its own, the other has mapped.
  const auto lacks = [&](int rank, const auto& mailbox) {
    const auto met = met_.find(rank);
    return rank >= 0 && (met == met_.end() ||
                         (met->second != nullptr && !((*met->second).*mailbox)->size().has(room)));
  };
  std::map<int, LinkRoom> peers;
  if (lacks(from, &Peer::own)) peers[from] = {};
  if (lacks(to, &Peer::theirs)) peers[to] = {};
  if (peers.empty()) return;
  std::vector<int> parting;
  for (auto& [number, wanted] : peers) {
    parting.push_back(number);
    if (const auto met = met_.find(number); met != met_.end()) wanted = met->second->room;
    if (number != from) continue;
    wanted = {std::max(wanted.landing, room.landing), std::max(wanted.piece, room.piece)};
  }
  part_from(parting);
  introduce(peers);
}

void PeerCopies::introduce(const std::map<int, LinkRoom>& rooms) {
  std::vector<int> peers;
  std::vector<HostBytes> cards;
  Card own = own_card();
  for (const auto& [number, room] : rooms) {
    peers.push_back(number);
    own.size = MailboxSize::of(room);
    cards.push_back(to_bytes(own));
  }
  const auto all = [&](const auto& value) {
    return std::vector<HostBytes>(peers.size(), to_bytes(value));
  };
  cards = swap_(peers, cards);
  std::vector<std::string> problems(peers.size());
  std::vector<std::unique_ptr<Peer>> reached(peers.size());
  std::vector<HostBytes> handles = all(cudaIpcMemHandle_t{}), answers = all(false);
  std::vector<bool> near(peers.size());
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const Card card = from_bytes<Card>(cards[i]);
    near[i] = card.boot == own.boot && card.willing && own.willing;
    if (!near[i]) continue;
    reached[i] = std::make_unique<Peer>();
    reached[i]->room = rooms.at(peers[i]);
    reached[i]->own = std::make_unique<OwnMailbox>(MailboxSize::of(reached[i]->room));
    handles[i] = to_bytes(reached[i]->own->handle());
  }
  handles = swap_(peers, handles);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    if (!near[i]) continue;
    const Card card = from_bytes<Card>(cards[i]);
    problems[i] = unreachable(card);
    if (problems[i].empty()) {
      reached[i]->theirs =
          std::make_unique<MappedMailbox>(from_bytes<cudaIpcMemHandle_t>(handles[i]), card.size);
      problems[i] = reached[i]->theirs->problem();
    }
    answers[i] = to_bytes(problems[i].empty());
  }
  answers = swap_(peers, answers);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    if (near[i] && (!problems[i].empty() || !from_bytes<bool>(answers[i]))) {
      if (!problems[i].empty()) warn_once(peers[i], problems[i]);
      reached[i]->theirs.reset();
      near[i] = false;
    }
  }
  // Memory that somebody may still have mapped is not freed.
  static_cast<void>(swap_(peers, all(true)));
  for (std::size_t i = 0; i < peers.size(); ++i) {
    log_debug("ranks {} and {} exchange by {}", rank_, peers[i], near[i] ? "copies" : "NCCL");
    met_.emplace(peers[i], near[i] ? std::move(reached[i]) : nullptr);
  }
}

bool PeerCopies::sends(const TensorMessage& message) const {
  const auto& peer = met_.at(message.peer);
  return peer != nullptr && short_enough(peer->theirs->size(), message.data.bytes());
}

bool PeerCopies::receives(const TensorMessage& message) const {
  const auto& peer = met_.at(message.peer);
  return peer != nullptr && short_enough(peer->own->size(), message.data.bytes());
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
  // What was read in a mailbox before `ready`. Senders may wait for it in what they send now.
  for (const TensorMessage& m : receives) free_slots(*met_.at(m.peer));
  for (const TensorMessage& m : by_distance(receives, -1)) receive(*met_.at(m.peer), m.data);
  return busy;
}

void PeerCopies::send(Peer& peer, const Tensor& data) {
  cudaStream_t stream = sending_.get();
  const auto [slots, piece] = peer.theirs->size();
  peer.sent = peer.theirs->size().before_message(peer.sent, data.bytes());
  for (std::size_t begin = 0; begin < data.bytes(); begin += piece) {
    const std::uint32_t n = ++peer.sent;
    if (n > slots) wait_for_counter(stream, peer.own->freed(), n - slots);
    check(cudaMemcpyAsync(peer.theirs->slot_of(n), data.raw() + begin,
                          std::min(piece, data.bytes() - begin), cudaMemcpyDeviceToDevice, stream),
          "cudaMemcpyAsync to another GPU");
    write_counter(stream, peer.theirs->arrived(), n);
  }
}

Tensor PeerCopies::landing(int from, const Shape& shape, DType dtype) {
  const auto met = met_.find(from);
  Peer* peer = met == met_.end() ? nullptr : met->second.get();
  const std::size_t bytes = static_cast<std::size_t>(shape.numel()) * dtype_size(dtype);
  if (peer == nullptr || bytes == 0 || !short_enough(peer->own->size(), bytes) ||
      !peer->own->size().in_consecutive_slots(bytes)) {
    return Tensor::empty(shape, dtype, DeviceKind::cuda);
  }
  const MailboxSize& size = peer->own->size();
  const std::uint32_t before = size.before_message(peer->received, bytes);
  std::byte* at = peer->own->slot_of(before + 1);
  auto reader = std::make_shared<std::byte>();
  peer->received = before + size.pieces_of(bytes);
  peer->arrivals.push_back({peer->received, reader, at});
  return Tensor::view(at, shape, dtype, DeviceKind::cuda, std::move(reader));
}

void PeerCopies::receive(Peer& peer, const Tensor& data) {
  cudaStream_t stream = receiving_.get();
  // The last one at this address: one before may not have been told the sender yet.
  const auto latest_first = std::views::reverse(peer.arrivals);
  const auto landed = std::ranges::find(latest_first, data.raw(), &Peer::Arrival::landing);
  if (landed != latest_first.end()) {
    wait_for_counter(stream, peer.own->arrived(), landed->last);
    return;
  }
  const std::size_t piece = peer.own->size().slot_bytes;
  peer.received = peer.own->size().before_message(peer.received, data.bytes());
  for (std::size_t begin = 0; begin < data.bytes(); begin += piece) {
    const std::uint32_t n = ++peer.received;
    wait_for_counter(stream, peer.own->arrived(), n);
    check(cudaMemcpyAsync(data.raw() + begin, peer.own->slot_of(n),
                          std::min(piece, data.bytes() - begin), cudaMemcpyDeviceToDevice, stream),
          "cudaMemcpyAsync from a mailbox");
    peer.arrivals.push_back({n, {}});
    free_slots(peer);
  }
}

void PeerCopies::free_slots(Peer& peer) {
  std::uint32_t last = 0;
  for (; !peer.arrivals.empty() && peer.arrivals.front().reader.expired();
       peer.arrivals.pop_front()) {
    last = peer.arrivals.front().last;
  }
  if (last > 0) write_counter(receiving_.get(), peer.theirs->freed(), last);
}

bool PeerCopies::idle() const {
  for (const NcclStream* stream : {&sending_, &receiving_}) {
    const cudaError_t status = cudaStreamQuery(stream->get());
    if (status == cudaErrorNotReady) return false;
    check(status, "waiting for transfers between GPUs");
  }
  return true;
}

void PeerCopies::part_from(std::span<const int> peers) {
  const auto begin = std::chrono::steady_clock::now();
  while (!idle()) {
    if (std::chrono::steady_clock::now() - begin > std::chrono::duration<double>(timeout_)) {
      fail("transfers between GPUs of one host have not ended in {:.0f} s", timeout_);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  std::vector<int> reached;
  for (const int peer : peers) {
    const auto met = met_.find(peer);
    if (met != met_.end() && met->second != nullptr) reached.push_back(peer);
  }
  if (reached.empty()) return;
  const std::vector<HostBytes> nothing(reached.size(), to_bytes(true));
  static_cast<void>(swap_(reached, nothing));  // their streams are done with our mailboxes, too
  for (const int peer : reached) met_.at(peer)->theirs.reset();
  static_cast<void>(swap_(reached, nothing));  // nobody has our mailboxes mapped any more
  for (const int peer : reached) met_.erase(peer);
}

// Streams that wait for a counter would be waited for at the end of the process.
void PeerCopies::let_go() noexcept {
  cudaStream_t stream = nullptr;
  if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) return;
  for (const auto& [number, peer] : met_) {
    if (peer == nullptr) continue;
    if (peer->own != nullptr) {
      for (const auto& [counter, n] :
           {std::pair{peer->own->arrived(), peer->received}, {peer->own->freed(), peer->sent}}) {
        log_cuda_failure(cudaMemcpyAsync(counter, &n, sizeof n, cudaMemcpyHostToDevice, stream),
                         "cudaMemcpyAsync of a counter");
      }
    }
    // A peer may use its mailbox yet: memory and mapping stay until the process ends.
    static_cast<void>(peer->own.release());
    static_cast<void>(peer->theirs.release());
  }
  log_cuda_failure(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

PeerCopies::~PeerCopies() {
  try {
    if (std::uncaught_exceptions() > exceptions_) {
      let_go();
    } else {
      std::vector<int> all;
      for (const auto& [number, peer] : met_) all.push_back(number);
      part_from(all);
    }
  } catch (const std::exception& e) {
    log_error("{}", e.what());
    let_go();
  }
}

}  // namespace weft
