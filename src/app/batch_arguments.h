#pragma once
// The options that `weft batch` and `weft sweep` have beside those of a job.

#include <filesystem>
#include <string>

#include "weft/base/error.h"

namespace CLI {
class App;
}

namespace weft {

struct BatchArguments {
  std::filesystem::path status;  // batch: the folder to tell about, nothing else is done
  int ranks_per_job = 0;         // 0: all ranks of the run
  std::string schedule = "priority", balance = "measured";
  int max_concurrent = 0;  // 0: no limit
  std::string job_timeout, lease_timeout = "60s";
  int attempts = 3;
  bool retry_parked = false, dry_run = false;
};

/// `values` must outlive the parsing.
void add_batch_options(CLI::App& command, BatchArguments& values);
void check_batch_arguments(const BatchArguments& values, Problems& problems);

}  // namespace weft
