#pragma once
// How messages lie in a mailbox (mailbox.h): arithmetic that sender and receiver do alike, without
// CUDA, so that it is tested on any machine.
//
// Piece n (from 1) of what was ever sent lies in slot (n - 1) mod slots. A message of up to a
// quarter of the slots lies in consecutive ones, so that it can be read there: it begins anew in
// front when it would reach over the end, and the slots left out are counted as pieces.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "weft/device/device_link.h"

namespace weft {

struct MailboxSize {
  std::uint32_t slots;
  std::size_t slot_bytes;

  [[nodiscard]] std::uint32_t pieces_of(std::size_t bytes) const {
    return static_cast<std::uint32_t>((bytes + slot_bytes - 1) / slot_bytes);
  }
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t piece) const { return (piece - 1) % slots; }
  [[nodiscard]] bool in_consecutive_slots(std::size_t bytes) const {
    return pieces_of(bytes) * 4 <= slots;
  }
  /// The number before the first piece of a message that follows piece n.
  [[nodiscard]] std::uint32_t before_message(std::uint32_t n, std::size_t bytes) const {
    const std::uint32_t used = n % slots;
    const bool anew = in_consecutive_slots(bytes) && used + pieces_of(bytes) > slots;
    return anew ? n + slots - used : n;
  }
  [[nodiscard]] bool has(const LinkRoom& room) const {
    return slot_bytes >= room.piece && landing_slots * pieces_of(room.landing) <= slots;
  }
  /// The smallest that has it.
  [[nodiscard]] static MailboxSize of(const LinkRoom& room) {
    constexpr std::size_t megabyte = std::size_t{1} << 20;
    constexpr std::uint32_t least = device_link_peer_bytes / device_link_piece_bytes;
    const std::size_t piece = std::max(device_link_piece_bytes, room.piece);
    MailboxSize size{least, (piece + megabyte - 1) / megabyte * megabyte};
    size.slots = std::max(least, landing_slots * size.pieces_of(room.landing));
    return size;
  }

 private:
  // Two pairs of messages, and what may stay empty at the end, which is less than one.
  static constexpr std::uint32_t landing_slots = 5;
};

}  // namespace weft
