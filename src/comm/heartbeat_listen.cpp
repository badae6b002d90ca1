// Rank 0's side of the meeting: the port, the addresses, the line of text that carries them.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "weft/base/error.h"

#include "heartbeat_connect.h"

namespace weft {
namespace {

constexpr int backlog = 4096;  // all ranks of a large job connect in the same moment

Descriptor try_listen(int family) {
  Descriptor socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return socket;
  sockaddr_storage any{};
  any.ss_family = static_cast<sa_family_t>(family);
  socklen_t length = sizeof(sockaddr_in);
  if (family == AF_INET6) {
    length = sizeof(sockaddr_in6);
    const int off = 0;  // IPv4 as well
    if (::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0)
      return Descriptor();
  }
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), length) != 0)
    return Descriptor();
  if (::listen(socket.get(), backlog) != 0) return Descriptor();
  return socket;
}

/// The address as text; "" for one that others cannot use.
std::string numeric(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bits = nullptr;
  if (address->sa_family == AF_INET) {
    bits = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    if (IN6_IS_ADDR_LINKLOCAL(&v6)) return {};  // means something on its own interface only
    bits = &v6;
  }
  return ::inet_ntop(address->sa_family, bits, text.data(), text.size()) != nullptr ? text.data()
                                                                                    : "";
}

}  // namespace

std::string contact_text(const Contact& contact) {
  std::string text =
      fmt::format("{} {} {} {} {} {}", contact.port, contact.token[0], contact.token[1],
                  contact.process.host, contact.process.pid, contact.process.start);
  for (const std::string& address : contact.addresses) text += " " + address;
  return text;
}

Contact parse_contact(const std::string& text) {
  Contact contact;
  std::istringstream in(text);
  in >> contact.port >> contact.token[0] >> contact.token[1] >> contact.process.host >>
      contact.process.pid >> contact.process.start;
  for (std::string address; in >> address;) contact.addresses.push_back(address);
  return contact;
}

Token random_token() {
  Token token{};
  if (::getrandom(token.data(), sizeof(token), 0) != static_cast<ssize_t>(sizeof(token))) {
    fail("no random numbers from the kernel: {}", std::strerror(errno));
  }
  return token;
}

void raise_descriptor_limit(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, wanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);  // without it fewer ranks connect, and they report that
}

Descriptor listen_everywhere() {
  Descriptor socket = try_listen(AF_INET6);
  if (socket.get() < 0) socket = try_listen(AF_INET);
  if (socket.get() < 0) fail("rank 0 cannot listen on a TCP port: {}", std::strerror(errno));
  return socket;
}

int port_of(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    fail("getsockname: {}", std::strerror(errno));
  }
  // The port lies at the same place in both kinds of address.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

std::vector<std::string> own_addresses() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  std::vector<std::string> addresses;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
      if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != family) continue;
      if ((i->ifa_flags & IFF_UP) == 0 || (i->ifa_flags & IFF_LOOPBACK) != 0) continue;
      if (const std::string text = numeric(i->ifa_addr); !text.empty()) addresses.push_back(text);
    }
  }
  ::freeifaddrs(all);
  return addresses;
}

}  // namespace weft
