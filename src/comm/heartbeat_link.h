#pragma once
// One connection of the watchdog: packets of fixed size over a non-blocking TCP socket.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "heartbeat_process.h"

namespace weft {

/// A random number that only the ranks of one job know: others who find the port are turned away.
using Token = std::array<std::uint64_t, 2>;

enum class PacketKind : std::uint32_t {
  beat,     // I am here
  goodbye,  // I am done: do not miss me
  leaving,  // I end the job on purpose, and have said why
  end       // the rank named in this packet is lost: end
};

/// All ranks run the same program, so it travels as it lies in memory.
struct Packet {
  Token token{};
  PacketKind kind = PacketKind::beat;
  std::int32_t rank = -1;     // who sends; with `end` who is lost, -1: nobody in particular
  std::int32_t speaker = -1;  // from rank 0: who reports the loss of rank 0
  std::uint32_t unused = 0;
  ProcessName process;  // of `rank`
  std::uint64_t activity = 0;
  std::uint64_t progress = 0;
  std::array<char, 64> host{};  // of `rank`, zero-terminated
};

/// Owns a file descriptor; -1: none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class Link {
 public:
  /// `socket` does not block.
  explicit Link(Descriptor socket) : socket_(std::move(socket)) {}
  [[nodiscard]] int fd() const { return socket_.get(); }

  enum class Got : std::uint8_t { packet, nothing, closed };
  /// The next whole packet that has arrived. Closed by the peer, broken, and bytes that do not
  /// carry the token are all `closed`.
  Got receive(Packet& packet, const Token& token);

  /// Never waits: what does not fit stays here and goes first next time. A beat is dropped as long
  /// as something stays: the peer does not read, and more of the same would not help.
  void send(const Packet& packet);
  /// Nothing more will be sent; what was sent still arrives.
  void finish_sending();

 private:
  void flush();

  Descriptor socket_;
  std::array<std::byte, sizeof(Packet)> in_{};
  std::size_t have_ = 0;
  std::string out_;
};

}  // namespace weft
