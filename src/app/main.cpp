#include <cstdlib>

#include <unistd.h>

#include "weft/app/commands.h"

namespace {

/// Threads that wait at the end of a parallel loop shall sleep soon instead of spinning: the
/// encoder's thread, other ranks and other programs want the same cores (on two busy cores a step
/// took 2.5 times as long with libgomp's default). libgomp reads the setting when it is loaded, so
/// the program starts itself once more.
void limit_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "10000", 0);
  execv("/proc/self/exe", argv);  // comes back only when it fails: then the default must do
}

}  // namespace

int main(int argc, char** argv) {
  limit_spinning(argv);
  return weft::run_program(argc, argv);
}
