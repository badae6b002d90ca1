#pragma once
// A group of ranks that exchange bytes. Messages above 1 GiB are sent in pieces, because MPI 3
// counts are int. Every failure is an Error that names the call, the peer and MPI's own message.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weft {

class Communicator {
 public:
  /// All ranks of the session (a duplicate of MPI_COMM_WORLD). Collective.
  static Communicator world();
  /// Ranks of the same `color`, ordered by rank. Collective over this communicator.
  [[nodiscard]] Communicator split(int color) const;
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();

  [[nodiscard]] int rank() const;
  [[nodiscard]] int size() const;

  /// A transfer under way; wait() once, or destroy after it is done. Move-only.
  class Pending {
   public:
    Pending();
    Pending(Pending&&) noexcept;
    Pending& operator=(Pending&&) noexcept;
    ~Pending();  // waits when nobody did: the buffers must outlive the transfer
    void wait();
    [[nodiscard]] bool done();  // makes progress; after true, wait() returns at once

   private:
    friend class Communicator;
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  // Tags are 0 ... 32767. The same (source, tag) pair keeps its order.
  void send(std::span<const std::byte> data, int to, int tag) const;
  void receive(std::span<std::byte> data, int from, int tag) const;
  [[nodiscard]] Pending start_send(std::span<const std::byte> data, int to, int tag) const;
  /// As start_send, but is not done before the receiver has started to receive (back-pressure).
  [[nodiscard]] Pending start_synchronous_send(std::span<const std::byte> data, int to,
                                               int tag) const;
  [[nodiscard]] Pending start_receive(std::span<std::byte> data, int from, int tag) const;

  void broadcast(std::span<std::byte> data, int root) const;
  /// Rank `root` gets every rank's bytes in rank order (lengths may differ); others get {}.
  [[nodiscard]] std::vector<std::vector<std::byte>> gather(std::span<const std::byte> data,
                                                           int root) const;
  void broadcast_string(std::string& text, int root) const;
  [[nodiscard]] std::vector<std::string> gather_strings(const std::string& text, int root) const;
  [[nodiscard]] double max(double value) const;  // over all ranks, known to all
  [[nodiscard]] double sum(double value) const;
  void barrier() const;

  /// Payload bytes this rank has sent through this communicator so far.
  [[nodiscard]] std::int64_t bytes_sent() const;

 private:
  Communicator();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
