#pragma once
// Memory of one GPU that a process of another GPU of the host writes to (CUDA IPC): slots for what
// comes, and two counters, which streams wait for and write without the host.

#include <cstddef>
#include <cstdint>
#include <string>

#include "check.h"

namespace weft {

/// Whether this process's driver lets streams wait for memory.
bool stream_counters_usable();

/// Whatever is written to the address by write_counter() and by nobody else.
using Counter = std::byte*;
/// The stream goes on when the counter has reached n.
void wait_for_counter(cudaStream_t stream, Counter counter, std::uint32_t n);
/// After everything asked of the stream before, which is visible to who sees the counter.
void write_counter(cudaStream_t stream, Counter counter, std::uint32_t n);

/// What both sides see. Piece n (from 1) of what was ever sent lies in slot (n - 1) mod slots.
class Mailbox {
 public:
  static constexpr std::size_t slot_bytes = std::size_t{16} << 20;

  [[nodiscard]] std::uint32_t slots() const { return slots_; }
  [[nodiscard]] std::byte* slot_of(std::uint32_t piece) const {
    return data_ + counter_bytes + (piece - 1) % slots_ * slot_bytes;
  }
  /// Pieces that have come into this mailbox.
  [[nodiscard]] Counter arrived() const { return data_; }
  /// Pieces that its owner has sent and that have left the mailbox at the other side.
  [[nodiscard]] Counter freed() const { return data_ + counter_bytes / 2; }

 protected:
  explicit Mailbox(std::uint32_t slots) : slots_(slots) {}
  static constexpr std::size_t counter_bytes = 4096;  // keeps the slots aligned
  std::byte* data_ = nullptr;
  std::uint32_t slots_;
};

/// A mailbox of this GPU.
class OwnMailbox : public Mailbox {
 public:
  explicit OwnMailbox(std::uint32_t slots);
  ~OwnMailbox();  // waits for the GPU
  OwnMailbox(const OwnMailbox&) = delete;
  OwnMailbox& operator=(const OwnMailbox&) = delete;
  [[nodiscard]] cudaIpcMemHandle_t handle() const;
};

/// The mailbox of a peer's GPU for this rank.
class MappedMailbox : public Mailbox {
 public:
  MappedMailbox(const cudaIpcMemHandle_t& handle, std::uint32_t slots);
  ~MappedMailbox();
  MappedMailbox(const MappedMailbox&) = delete;
  MappedMailbox& operator=(const MappedMailbox&) = delete;
  /// Why it could not be mapped, or "".
  [[nodiscard]] std::string problem() const;

 private:
  cudaError_t status_;
};

}  // namespace weft
