#pragma once
// Requests of one message that is under way, in pieces.

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "weft/comm/communicator.h"

#include "mpi_check.h"

namespace weft {

struct Communicator::Pending::Impl {
  std::string what;  // "MPI_Irecv of 400 bytes from rank 3, tag 7": for errors
  std::vector<MPI_Request> requests;
  std::vector<int> expected;  // bytes of each piece; empty for sends
  int exceptions = std::uncaught_exceptions();
  bool finished = false;

  bool poll();  // true when all pieces are done; throws on failure
  void wait();
  void abandon() noexcept;
};

}  // namespace weft
