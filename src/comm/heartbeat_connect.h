#pragma once
// How the ranks of a job find rank 0's watchdog and connect to it.

#include <optional>
#include <string>
#include <vector>

#include "heartbeat_link.h"

namespace weft {

/// Where rank 0 is heard. Travels to the other ranks as one line of text.
struct Contact {
  int port = 0;
  Token token{};
  ProcessName process;
  std::vector<std::string> addresses;  // numeric, IPv4 before IPv6, without loopback
};
std::string contact_text(const Contact& contact);
Contact parse_contact(const std::string& text);

/// 128 bits of the kernel's random numbers.
Token random_token();

/// Lets this process hold so many descriptors when the hard limit allows it.
void raise_descriptor_limit(std::size_t wanted);

/// Listens on a free port of every address, IPv6 too where there is IPv6. Does not block. Error
/// when there is no way to.
Descriptor listen_everywhere();
int port_of(int socket);
/// This machine's addresses that others may reach.
std::vector<std::string> own_addresses();

/// A connection to rank 0, and the packet it answered with.
struct Meeting {
  Link link;
  Packet center;
};

/// Connects to rank 0 and exchanges a first packet with it: on its own machine by loopback, else by
/// its addresses in turn, a new one joining in every 0.25 s until one answers; gives up after 10 s.
/// Nothing: `problem` then says what happened at each address.
std::optional<Meeting> connect_to(const Contact& contact, const Packet& hello,
                                  std::string& problem);

}  // namespace weft
