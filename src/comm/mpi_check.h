#pragma once
// Checks of MPI return codes and waiting that leaves the core to others. The only header of the
// project that brings in mpi.h.

#include <chrono>
#include <string>
#include <vector>

// The C interface is all that is used: without these, mpi.h brings in C++ classes that ask for
// another library.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

namespace weft {

/// Throws an Error with MPI's own message when `code` is not MPI_SUCCESS. `detail`: the peer, or
/// "".
void check_mpi(int code, const char* call, const std::string& detail = {});

/// MPI's text for an error code.
std::string mpi_error_text(int code);

/// False before MPI_Init and after MPI_Finalize, when no other MPI call is allowed.
bool mpi_is_usable();

/// Called between polls: spins at first (the usual message is there within microseconds), then
/// yields the core, then sleeps for a fifth of a millisecond between a few polls.
class Backoff {
 public:
  void pause();

 private:
  int polls_ = 0;
};

/// Polls one request (of a collective) until it is done.
void wait_for(MPI_Request& request, const char* call, const std::string& detail);

}  // namespace weft
