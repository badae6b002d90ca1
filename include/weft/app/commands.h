#pragma once
// The commands of the program. Each returns the exit code: 0 done, 1 failed, 2 bad usage or input.

#include <string>
#include <vector>

namespace weft {

/// The command line of one rank.
int run_program(int argc, char** argv);

}  // namespace weft
