#include "weft/comm/communicator.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "weft/base/error.h"
#include "weft/base/log.h"

#include "mpi_check.h"
#include "pending.h"

namespace weft {
namespace {

constexpr int largest_tag = 32767;  // what every MPI library has

/// Owns an MPI communicator whose errors return.
class CommHandle {
 public:
  CommHandle() = default;
  explicit CommHandle(MPI_Comm comm) : comm_(comm) {
    check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  }
  CommHandle(CommHandle&& other) noexcept : comm_(std::exchange(other.comm_, MPI_COMM_NULL)) {}
  CommHandle& operator=(CommHandle&& other) noexcept {
    std::swap(comm_, other.comm_);
    return *this;
  }
  ~CommHandle() {
    if (comm_ == MPI_COMM_NULL || !mpi_is_usable()) return;
    if (const int code = MPI_Comm_free(&comm_); code != MPI_SUCCESS) {
      log_error("MPI_Comm_free failed: {}", mpi_error_text(code));
    }
  }
  [[nodiscard]] MPI_Comm get() const { return comm_; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
};

CommHandle duplicate(MPI_Comm comm) {
  MPI_Comm copy = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(comm, &copy), "MPI_Comm_dup");
  return CommHandle(copy);
}

/// Calls f(offset, bytes) for every piece of a message; an empty message is one empty piece.
template <class F>
void for_each_piece(std::size_t size, std::size_t piece_bytes, F&& f) {
  std::size_t offset = 0;
  do {
    const std::size_t bytes = std::min(piece_bytes, size - offset);
    f(offset, static_cast<int>(bytes));
    offset += bytes;
  } while (offset < size);
}

}  // namespace

struct Communicator::Impl {
  Impl(CommHandle comm, std::size_t piece)
      : user(std::move(comm)), own(duplicate(user.get())), piece_bytes(piece) {
    check_mpi(MPI_Comm_rank(user.get(), &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(user.get(), &size), "MPI_Comm_size");
  }

  CommHandle user;  // callers' messages
  CommHandle own;   // collectives and what they are made of: no tag is taken from callers
  std::size_t piece_bytes;
  int rank = 0, size = 1;
  mutable std::int64_t bytes_sent = 0;

  using SendCall = int (*)(const void*, int, MPI_Datatype, int, int, MPI_Comm, MPI_Request*);

  void check_peer(int peer, int tag) const {
    WEFT_ASSERT(peer >= 0 && peer < size, "peer {} of {} ranks", peer, size);
    WEFT_ASSERT(tag >= 0 && tag <= largest_tag, "tag {}", tag);
  }

  Pending start_send(SendCall call, const char* name, MPI_Comm comm,
                     std::span<const std::byte> data, int to, int tag) const {
    check_peer(to, tag);
    Pending pending =
        make(fmt::format("{} of {} bytes to rank {}, tag {}", name, data.size(), to, tag));
    for_each_piece(data.size(), piece_bytes, [&](std::size_t offset, int bytes) {
      auto& request = pending.impl_->requests.emplace_back(MPI_REQUEST_NULL);
      check_mpi(call(data.data() + offset, bytes, MPI_BYTE, to, tag, comm, &request),
                pending.impl_->what.c_str());
    });
    bytes_sent += static_cast<std::int64_t>(data.size());
    return pending;
  }

  Pending start_receive(MPI_Comm comm, std::span<std::byte> data, int from, int tag) const {
    check_peer(from, tag);
    Pending pending =
        make(fmt::format("MPI_Irecv of {} bytes from rank {}, tag {}", data.size(), from, tag));
    for_each_piece(data.size(), piece_bytes, [&](std::size_t offset, int bytes) {
      pending.impl_->expected.push_back(bytes);
      auto& request = pending.impl_->requests.emplace_back(MPI_REQUEST_NULL);
      check_mpi(MPI_Irecv(data.data() + offset, bytes, MPI_BYTE, from, tag, comm, &request),
                pending.impl_->what.c_str());
    });
    return pending;
  }

  static Pending make(std::string what) {
    Pending pending;
    pending.impl_ = std::make_unique<Pending::Impl>();
    pending.impl_->what = std::move(what);
    return pending;
  }

  void broadcast(std::span<std::byte> data, int root) const {
    check_peer(root, 0);
    const std::string detail = fmt::format("of {} bytes from rank {}", data.size(), root);
    for_each_piece(data.size(), piece_bytes, [&](std::size_t offset, int bytes) {
      MPI_Request request = MPI_REQUEST_NULL;
      check_mpi(MPI_Ibcast(data.data() + offset, bytes, MPI_BYTE, root, own.get(), &request),
                "MPI_Ibcast", detail);
      wait_for(request, "MPI_Ibcast", detail);
    });
    if (rank == root) bytes_sent += static_cast<std::int64_t>(data.size()) * (size - 1);
  }

  [[nodiscard]] double reduce(double value, MPI_Op op) const {
    double result = 0;
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallreduce(&value, &result, 1, MPI_DOUBLE, op, own.get(), &request),
              "MPI_Iallreduce");
    wait_for(request, "MPI_Iallreduce", {});
    return result;
  }
};

Communicator::Communicator() = default;
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;

Communicator Communicator::world(std::size_t piece_bytes) {
  WEFT_ASSERT(mpi_is_usable(), "a communicator needs a Session");
  WEFT_ASSERT(piece_bytes >= 1 && piece_bytes <= std::numeric_limits<int>::max(),
              "pieces of {} bytes", piece_bytes);
  Communicator made;
  made.impl_ = std::make_unique<Impl>(duplicate(MPI_COMM_WORLD), piece_bytes);
  return made;
}

Communicator Communicator::split(int color) const {
  WEFT_ASSERT(color >= 0, "color {}", color);
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(impl_->own.get(), color, impl_->rank, &part), "MPI_Comm_split");
  Communicator made;
  made.impl_ = std::make_unique<Impl>(CommHandle(part), impl_->piece_bytes);
  return made;
}

int Communicator::rank() const { return impl_->rank; }
int Communicator::size() const { return impl_->size; }
std::int64_t Communicator::bytes_sent() const { return impl_->bytes_sent; }

void Communicator::send(std::span<const std::byte> data, int to, int tag) const {
  WEFT_ASSERT(to != rank(), "rank {} sends to itself and would wait for itself", to);
  start_send(data, to, tag).wait();
}

void Communicator::receive(std::span<std::byte> data, int from, int tag) const {
  start_receive(data, from, tag).wait();
}

Communicator::Pending Communicator::start_send(std::span<const std::byte> data, int to,
                                               int tag) const {
  return impl_->start_send(MPI_Isend, "MPI_Isend", impl_->user.get(), data, to, tag);
}

Communicator::Pending Communicator::start_synchronous_send(std::span<const std::byte> data, int to,
                                                           int tag) const {
  return impl_->start_send(MPI_Issend, "MPI_Issend", impl_->user.get(), data, to, tag);
}

Communicator::Pending Communicator::start_receive(std::span<std::byte> data, int from,
                                                  int tag) const {
  return impl_->start_receive(impl_->user.get(), data, from, tag);
}

void Communicator::broadcast(std::span<std::byte> data, int root) const {
  impl_->broadcast(data, root);
}

std::vector<std::vector<std::byte>> Communicator::gather(std::span<const std::byte> data,
                                                         int root) const {
  impl_->check_peer(root, 0);
  const auto own_size = static_cast<std::int64_t>(data.size());
  std::vector<std::int64_t> sizes(rank() == root ? static_cast<std::size_t>(size()) : 0);
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Igather(&own_size, 1, MPI_INT64_T, sizes.data(), 1, MPI_INT64_T, root,
                        impl_->own.get(), &request),
            "MPI_Igather");
  wait_for(request, "MPI_Igather", fmt::format("to rank {}", root));

  constexpr int tag = 0;
  if (rank() != root) {
    impl_->start_send(MPI_Isend, "gather: MPI_Isend", impl_->own.get(), data, root, tag).wait();
    return {};
  }
  std::vector<std::vector<std::byte>> parts(sizes.size());
  std::vector<Pending> pending;
  for (int r = 0; r < size(); ++r) {
    auto& part = parts[static_cast<std::size_t>(r)];
    if (r == root) {
      part.assign(data.begin(), data.end());
    } else {
      part.resize(static_cast<std::size_t>(sizes[static_cast<std::size_t>(r)]));
      pending.push_back(impl_->start_receive(impl_->own.get(), part, r, tag));
    }
  }
  for (auto& p : pending) p.wait();
  return parts;
}

void Communicator::broadcast_string(std::string& text, int root) const {
  auto length = static_cast<std::int64_t>(text.size());
  MPI_Request request = MPI_REQUEST_NULL;
  impl_->check_peer(root, 0);
  check_mpi(MPI_Ibcast(&length, 1, MPI_INT64_T, root, impl_->own.get(), &request), "MPI_Ibcast");
  wait_for(request, "MPI_Ibcast", fmt::format("of a length from rank {}", root));
  text.resize(static_cast<std::size_t>(length));
  broadcast(std::as_writable_bytes(std::span(text)), root);
}

std::vector<std::string> Communicator::gather_strings(const std::string& text, int root) const {
  std::vector<std::string> texts;
  for (const auto& part : gather(std::as_bytes(std::span(text)), root)) {
    texts.emplace_back(reinterpret_cast<const char*>(part.data()), part.size());
  }
  return texts;
}

double Communicator::max(double value) const { return impl_->reduce(value, MPI_MAX); }
double Communicator::sum(double value) const { return impl_->reduce(value, MPI_SUM); }

void Communicator::barrier() const {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(impl_->own.get(), &request), "MPI_Ibarrier");
  wait_for(request, "MPI_Ibarrier", {});
}

}  // namespace weft
