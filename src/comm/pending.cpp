#include "pending.h"

#include <algorithm>
#include <chrono>

#include "weft/base/error.h"
#include "weft/base/log.h"

#include "mpi_check.h"

namespace weft {

bool Communicator::Pending::Impl::poll() {
  if (finished) return true;
  std::vector<MPI_Status> status(requests.size());
  for (auto& s : status) s.MPI_ERROR = MPI_SUCCESS;
  int done = 0;
  const int code =
      MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, status.data());
  if (code != MPI_SUCCESS) {
    // Failed pieces cannot be waited for again, and the others will not become a whole message.
    abandon();
    if (code == MPI_ERR_IN_STATUS) {
      for (const auto& s : status) {
        if (s.MPI_ERROR != MPI_ERR_PENDING) check_mpi(s.MPI_ERROR, what.c_str());
      }
    }
    check_mpi(code, what.c_str());
  }
  if (done == 0) return false;
  finished = true;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    int got = 0;
    check_mpi(MPI_Get_count(&status[i], MPI_BYTE, &got), "MPI_Get_count");
    if (got != expected[i]) {
      fail("{}: piece {} of {} has {} bytes, want {}: sender and receiver disagree on the message",
           what, i + 1, expected.size(), got, expected[i]);
    }
  }
  return true;
}

void Communicator::Pending::Impl::wait() {
  Backoff backoff;
  while (!poll()) backoff.pause();
}

void Communicator::Pending::Impl::abandon() noexcept {
  finished = true;
  for (MPI_Request& request : requests) {
    if (request == MPI_REQUEST_NULL) continue;
    if (!expected.empty()) MPI_Cancel(&request);
    MPI_Request_free(&request);
  }
}

Communicator::Pending::Pending() = default;
Communicator::Pending::Pending(Pending&&) noexcept = default;

Communicator::Pending& Communicator::Pending::operator=(Pending&& other) noexcept {
  // By way of the destructor, which waits: the transfer held so far may still use its buffers.
  const Pending old(std::move(*this));
  impl_ = std::move(other.impl_);
  return *this;
}

Communicator::Pending::~Pending() {
  if (!impl_ || impl_->finished || !mpi_is_usable()) return;
  constexpr std::chrono::seconds patience{5};
  const bool unwinding = std::uncaught_exceptions() > impl_->exceptions;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  try {
    Backoff backoff;
    while (!impl_->poll()) {
      if (unwinding && std::chrono::steady_clock::now() > deadline) {
        log_error("{}: still under way {} s after a failure; abandoned", impl_->what,
                  patience.count());
        impl_->abandon();
        return;
      }
      backoff.pause();
    }
  } catch (const std::exception& e) {
    log_error("{}", e.what());
  }
}

void Communicator::Pending::wait() {
  if (impl_) impl_->wait();
}

bool Communicator::Pending::done() { return !impl_ || impl_->poll(); }

}  // namespace weft
