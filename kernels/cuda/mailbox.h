#pragma once
// Memory of one GPU that a process of another GPU of the host writes to (CUDA IPC): slots for what
// comes, and two counters, which streams wait for and write without the host.

#include <cstddef>
#include <cstdint>
#include <string>

#include "check.h"
#include "mailbox_size.h"

namespace weft {

/// Whether this process's driver lets streams wait for memory.
bool stream_counters_usable();

/// Whatever is written to the address by write_counter() and by nobody else.
using Counter = std::byte*;
/// The stream goes on when the counter has reached n.
void wait_for_counter(cudaStream_t stream, Counter counter, std::uint32_t n);
/// After everything asked of the stream before, which is visible to who sees the counter.
void write_counter(cudaStream_t stream, Counter counter, std::uint32_t n);

/// What both sides see.
class Mailbox {
 public:
  [[nodiscard]] const MailboxSize& size() const { return size_; }
  [[nodiscard]] std::byte* slot_of(std::uint32_t piece) const {
    return data_ + counter_bytes + size_.slot_of(piece) * size_.slot_bytes;
  }
  /// Pieces that have come into this mailbox.
  [[nodiscard]] Counter arrived() const { return data_; }
  /// Pieces that its owner has sent and that have left the mailbox at the other side.
  [[nodiscard]] Counter freed() const { return data_ + counter_bytes / 2; }

 protected:
  explicit Mailbox(const MailboxSize& size) : size_(size) {}
  static constexpr std::size_t counter_bytes = 4096;  // keeps the slots aligned
  std::byte* data_ = nullptr;
  MailboxSize size_;
};

/// A mailbox of this GPU.
class OwnMailbox : public Mailbox {
 public:
  explicit OwnMailbox(const MailboxSize& size);
  ~OwnMailbox();  // waits for the GPU
  OwnMailbox(const OwnMailbox&) = delete;
  OwnMailbox& operator=(const OwnMailbox&) = delete;
  [[nodiscard]] cudaIpcMemHandle_t handle() const;
};

/// The mailbox of a peer's GPU for this rank.
class MappedMailbox : public Mailbox {
 public:
  MappedMailbox(const cudaIpcMemHandle_t& handle, const MailboxSize& size);
  ~MappedMailbox();
  MappedMailbox(const MappedMailbox&) = delete;
  MappedMailbox& operator=(const MappedMailbox&) = delete;
  /// Why it could not be mapped, or "".
  [[nodiscard]] std::string problem() const;

 private:
  cudaError_t status_;
};

}  // namespace weft
