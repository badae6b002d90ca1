#pragma once
// The MPI session of this process. Sets MPI_ERRORS_RETURN, without which no check of an MPI call
// could ever fire.

#include <string>
#include <vector>

namespace weft {

class Session {
 public:
  /// Initialises MPI (for several threads, or funneled). One Session per process, made first in
  /// main.
  Session(int& argc, char**& argv);
  /// Finalises MPI; after an escaped exception, main must call abort() instead of returning.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] int local_rank() const { return local_rank_; }  // among the ranks of this host
  [[nodiscard]] int local_size() const { return local_size_; }
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] const std::string& library_version() const { return version_; }

  /// Ends all ranks with this exit code; peers blocked in communication are ended too.
  [[noreturn]] static void abort(int exit_code);

 private:
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::string host_, version_;
};

}  // namespace weft
