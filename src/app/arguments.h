#pragma once
// Command-line arguments to a command and a job.

#include <filesystem>
#include <optional>
#include <string>

#include "weft/run/job.h"
#include "weft/run/run_record.h"

#include "batch_arguments.h"
#include "bench_net_arguments.h"
#include "compare_arguments.h"
#include "report_arguments.h"
#include "scale_arguments.h"

namespace weft {

struct Arguments {
  std::string command;                // "render", "batch", ...
  std::string help;                   // to print instead of doing anything, when not empty
  Job job;                            // render, scale, plan; defaults of batch and sweep
  BatchArguments batch;               // batch, sweep
  BenchNetArguments bench_net;        // bench-net
  CompareArguments compare;           // compare
  ReportArguments report;             // report
  ScaleArguments scale;               // scale
  std::optional<RunRecord> repeated;  // render: whose job this is, flags apart
  int ranks = 0;                      // plan: ranks to plan for; 0: those of this run
  int ranks_per_node = 0;             // plan: 0: up to 8
  std::filesystem::path path;         // inspect; the list of batch, the file of sweep
  bool verbose = false;               // log debug lines
  bool quiet = false;                 // only warnings and errors
};

/// Every problem of the command line and of the job file goes to `problems`.
Arguments parse_arguments(int argc, const char* const* argv, Problems& problems);

}  // namespace weft
