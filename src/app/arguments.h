#pragma once
// Command-line arguments to a command and a job.

#include <filesystem>
#include <optional>
#include <string>

#include "weft/run/job.h"
#include "weft/run/run_record.h"

#include "batch_arguments.h"
#include "report_arguments.h"

namespace weft {

struct Arguments {
  std::string command;                // "render", "batch", "sweep", "plan", "inspect", "report"
  std::string help;                   // to print instead of doing anything, when not empty
  Job job;                            // render, plan; defaults of batch and sweep
  BatchArguments batch;               // batch, sweep
  ReportArguments report;             // report
  std::optional<RunRecord> repeated;  // render: whose job this is, flags apart
  int ranks = 0;                      // plan: ranks to plan for; 0: those of this run
  std::filesystem::path path;         // inspect; the list of batch, the file of sweep
  bool verbose = false;               // log debug lines
  bool quiet = false;                 // only warnings and errors
};

/// Every problem of the command line and of the job file goes to `problems`.
Arguments parse_arguments(int argc, const char* const* argv, Problems& problems);

}  // namespace weft
