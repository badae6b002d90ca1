#include "weft/comm/session.h"

#include <array>
#include <cstdlib>
#include <exception>

#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/comm/heartbeat.h"

#include "mpi_check.h"

namespace weft {

// With more ranks than cores a rank that waits must give up its core: weft's own waits do
// (Backoff), and Open MPI does inside its blocking calls when mpirun --oversubscribe started the
// job. Under other launchers OMPI_MCA_mpi_yield_when_idle=1 asks for the same.
Session::Session(int& argc, char**& argv) {
  WEFT_ASSERT(!mpi_is_usable(), "a second session in one process");
  int provided = MPI_THREAD_SINGLE;
  // Several threads for BackgroundProgress, which does without where the library has no such level.
  check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  // Calls that belong to no communicator report through MPI_COMM_SELF or MPI_COMM_WORLD.
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  if (provided < MPI_THREAD_FUNNELED) {
    fail(
        "this MPI library has no MPI_THREAD_FUNNELED support (level {} of {}): use one built with "
        "threads",
        provided, MPI_THREAD_FUNNELED);
  }
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");

  // CUDA loads a kernel at its first use, and waits for the whole device then: for messages, too,
  // that a peer will only take when it has loaded a kernel of its own. Several ranks load all of
  // them at the start.
  if (size_ > 1) setenv("CUDA_MODULE_LOADING", "EAGER", 0);

  MPI_Comm local = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local),
            "MPI_Comm_split_type");
  check_mpi(MPI_Comm_set_errhandler(local, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(local, &local_rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(local, &local_size_), "MPI_Comm_size");
  check_mpi(MPI_Comm_free(&local), "MPI_Comm_free");

  std::array<char, MPI_MAX_PROCESSOR_NAME> name{};
  int length = 0;
  check_mpi(MPI_Get_processor_name(name.data(), &length), "MPI_Get_processor_name");
  host_ = name.data();
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> version{};
  check_mpi(MPI_Get_library_version(version.data(), &length), "MPI_Get_library_version");
  version_ = version.data();  // not `length` characters: Open MPI counts the terminating zero
}

Session::~Session() {
  if (!mpi_is_usable()) return;
  if (std::uncaught_exceptions() > 0) {
    // MPI_Finalize waits for peers, and they wait for this rank.
    log_error("an exception left the session on rank {} ({}): ending all ranks", rank_, host_);
    abort(1);
  }
  if (const int code = MPI_Finalize(); code != MPI_SUCCESS) {
    log_error("MPI_Finalize failed: {}", mpi_error_text(code));
  }
}

void Session::abort(int exit_code) {
  Heartbeat::quiet();
  if (mpi_is_usable()) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace weft
