#pragma once
// Command-line arguments to a command and a job.

#include <filesystem>
#include <optional>
#include <string>

#include "weft/run/job.h"

namespace weft {

struct Arguments {
  std::string command;         // "render", "plan", "inspect"
  std::string help;            // to print instead of doing anything, when not empty
  Job job;                     // render, plan
  int ranks = 0;               // plan: ranks to plan for; 0: those of this run
  std::filesystem::path path;  // inspect
  bool verbose = false;        // log debug lines
  bool quiet = false;          // only warnings and errors
};

/// Every problem of the command line and of the job file goes to `problems`.
Arguments parse_arguments(int argc, const char* const* argv, Problems& problems);

}  // namespace weft
