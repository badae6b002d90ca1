// The other ranks' side of the meeting. A node has several addresses, and some lead nowhere from
// here: they are tried side by side, each given a head start over the next.
#include "heartbeat_connect.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "weft/base/stages.h"

namespace weft {
namespace {

constexpr double head_start = 0.25;    // s
constexpr double connect_limit = 10;   // s, for all addresses together
constexpr double greeting_limit = 10;  // s: a thousand ranks greet rank 0 at once

struct Attempt {
  std::string address;
  Descriptor socket;
};

/// The length of the address; 0: it is not one.
socklen_t parse_address(const std::string& text, int port, sockaddr_storage& address) {
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    return sizeof(v4);
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) != 1) return 0;
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(static_cast<std::uint16_t>(port));
  return sizeof(v6);
}

/// Starts to connect; the errno when that failed at once.
int start(Attempt& attempt, int port) {
  sockaddr_storage address{};
  const socklen_t length = parse_address(attempt.address, port, address);
  if (length == 0) return EINVAL;
  attempt.socket =
      Descriptor(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (attempt.socket.get() < 0) return errno;
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(attempt.socket.get(), to, length) == 0 || errno == EINPROGRESS) return 0;
  return errno;
}

bool wait_readable(int fd, double until) {
  for (;;) {
    const double left = until - now_seconds();
    if (left <= 0) return false;
    pollfd one{fd, POLLIN, 0};
    if (::poll(&one, 1, static_cast<int>(left * 1e3) + 1) > 0) return true;
  }
}

/// Does rank 0 of this job answer? On a wrong machine anybody may listen on the port, even this
/// very socket: a connection to a free port of one's own machine can meet itself.
std::optional<Packet> greet(Link& link, const Packet& hello) {
  link.send(hello);
  const double until = now_seconds() + greeting_limit;
  while (wait_readable(link.fd(), until)) {
    Packet answer;
    const Link::Got got = link.receive(answer, hello.token);
    if (got == Link::Got::packet && answer.rank == 0) return answer;
    if (got != Link::Got::nothing) return {};
  }
  Packet goodbye = hello;  // it may answer later, and must not miss this connection then
  goodbye.kind = PacketKind::goodbye;
  link.send(goodbye);
  return {};
}

class Search {
 public:
  Search(const Contact& contact, const Packet& hello) : contact_(contact), hello_(hello) {
    if (contact.process.host == hello.process.host) waiting_.emplace_back("127.0.0.1");
    waiting_.insert(waiting_.end(), contact.addresses.begin(), contact.addresses.end());
  }

  std::optional<Meeting> run() {
    const double until = now_seconds() + connect_limit;
    while (now_seconds() < until && (next_ < waiting_.size() || !attempts_.empty())) {
      if (next_ < waiting_.size() && (attempts_.empty() || now_seconds() >= next_start_)) begin();
      if (auto met = poll_attempts()) return met;
    }
    for (const Attempt& a : attempts_) note(a.address, "no answer");
    return {};
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  void begin() {
    Attempt attempt{waiting_[next_++], Descriptor{}};
    next_start_ = now_seconds() + head_start;
    if (const int code = start(attempt, contact_.port); code != 0) {
      note(attempt.address, std::strerror(code));
    } else {
      attempts_.push_back(std::move(attempt));
    }
  }

  std::optional<Meeting> poll_attempts() {
    std::vector<pollfd> polled;
    for (const Attempt& a : attempts_) polled.push_back({a.socket.get(), POLLOUT, 0});
    if (::poll(polled.data(), polled.size(), 50) <= 0) return {};
    for (std::size_t i = polled.size(); i-- > 0;) {
      if (polled[i].revents == 0) continue;
      Attempt done = std::move(attempts_[i]);
      attempts_.erase(attempts_.begin() + static_cast<std::ptrdiff_t>(i));
      int code = 0;
      socklen_t length = sizeof(code);
      ::getsockopt(done.socket.get(), SOL_SOCKET, SO_ERROR, &code, &length);
      if (code != 0) {
        note(done.address, std::strerror(code));
        continue;
      }
      Link link(std::move(done.socket));
      if (const auto answer = greet(link, hello_)) return Meeting{std::move(link), *answer};
      note(done.address, "somebody else answers, or nobody");
    }
    return {};
  }

  void note(const std::string& address, const char* what) {
    problem_ +=
        fmt::format("{}{} port {}: {}", problem_.empty() ? "" : "; ", address, contact_.port, what);
  }

  const Contact& contact_;
  const Packet& hello_;
  std::vector<std::string> waiting_;
  std::size_t next_ = 0;
  double next_start_ = 0;
  std::vector<Attempt> attempts_;
  std::string problem_;
};

}  // namespace

std::optional<Meeting> connect_to(const Contact& contact, const Packet& hello,
                                  std::string& problem) {
  Search search(contact, hello);
  auto met = search.run();
  if (!met) problem = search.problem().empty() ? "rank 0 has no address" : search.problem();
  return met;
}

}  // namespace weft
