#include "heartbeat_link.h"

#include <cerrno>
#include <cstring>
#include <span>
#include <type_traits>

#include <sys/socket.h>
#include <unistd.h>

namespace weft {

static_assert(std::is_trivially_copyable_v<Packet>);

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Link::Got Link::receive(Packet& packet, const Token& token) {
  while (have_ < in_.size()) {
    const auto rest = std::span(in_).subspan(have_);
    const ssize_t n = ::recv(fd(), rest.data(), rest.size(), MSG_DONTWAIT);
    if (n > 0) {
      have_ += static_cast<std::size_t>(n);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? Got::nothing : Got::closed;
  }
  have_ = 0;
  std::memcpy(&packet, in_.data(), sizeof(packet));
  if (packet.token != token) return Got::closed;
  packet.host.back() = '\0';
  return Got::packet;
}

void Link::send(const Packet& packet) {
  flush();
  if (!out_.empty() && packet.kind == PacketKind::beat) return;
  out_.append(reinterpret_cast<const char*>(&packet), sizeof(packet));
  flush();
}

void Link::flush() {
  while (!out_.empty()) {
    const ssize_t n = ::send(fd(), out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      out_.erase(0, static_cast<std::size_t>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      out_.clear();  // broken: receive() will tell
      return;
    }
  }
}

void Link::finish_sending() {
  flush();
  ::shutdown(fd(), SHUT_WR);
}

}  // namespace weft
