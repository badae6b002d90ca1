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
  /// Longest piece of a message: well below the largest int.
  static constexpr std::size_t default_piece_bytes = std::size_t{1} << 30;

  /// All ranks of the session (a duplicate of MPI_COMM_WORLD). Collective. Messages longer than
  /// `piece_bytes`, the same on every rank, travel in pieces; split() hands it on.
  static Communicator world(std::size_t piece_bytes = default_piece_bytes);
  /// Ranks of the same `color`, ordered by rank. Collective over this communicator.
  [[nodiscard]] Communicator split(int color) const;
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();

  [[nodiscard]] int rank() const;
  [[nodiscard]] int size() const;

  /// A transfer under way; wait() once, or destroy after it is done. Move-only. Waiting yields the
  /// core after a short while, so that more ranks than cores do not starve those that compute.
  class Pending {
   public:
    Pending();
    Pending(Pending&&) noexcept;
    Pending& operator=(Pending&&) noexcept;
    /// Waits when nobody did, because the buffers must outlive the transfer. While an exception
    /// unwinds it gives up after some seconds: the peer may never answer.
    ~Pending();
    void wait();
    [[nodiscard]] bool done();  // makes progress; after true, wait() returns at once

   private:
    friend class Communicator;
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  // Tags are 0 ... 32767. The same (source, tag) pair keeps its order. The receiver must expect
  // exactly as many bytes as are sent. A rank may exchange with itself by start_... only.
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

  /// Payload bytes this rank has sent through this communicator so far; the root of a broadcast
  /// counts one copy for each other rank.
  [[nodiscard]] std::int64_t bytes_sent() const;

 private:
  Communicator();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
