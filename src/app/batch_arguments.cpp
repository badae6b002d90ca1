#include "batch_arguments.h"

#include <CLI/CLI.hpp>

#include "weft/run/stop_request.h"

namespace weft {
namespace {

constexpr int most = 1'000'000;

void check_choice(const char* flag, const std::string& value,
                  const std::vector<std::string>& choices, Problems& problems) {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  problems.add("{}: \"{}\" is unknown: expected one of {}", flag, value,
               fmt::format("{}", fmt::join(choices, ", ")));
}

}  // namespace

void add_batch_options(CLI::App& command, BatchArguments& values) {
  const char* group = "Batch";
  command
      .add_option("--ranks-per-job", values.ranks_per_job,
                  "ranks that render a job together; divides those of the run (default: all)")
      ->group(group)
      ->type_name("INT");
  command
      .add_option("--schedule", values.schedule,
                  "which job comes first: fifo, priority (default), shortest, largest")
      ->group(group)
      ->type_name("NAME");
  command
      .add_option("--balance", values.balance,
                  "which group takes a job: round-robin, least-loaded, measured (default: whoever "
                  "would finish it first)")
      ->group(group)
      ->type_name("NAME");
  command
      .add_option("--max-concurrent", values.max_concurrent,
                  "jobs that all runs on the folder together render at a time (default: no limit)")
      ->group(group)
      ->type_name("INT");
  command
      .add_option("--job-timeout", values.job_timeout,
                  "an attempt that takes longer has failed (default: none)")
      ->group(group)
      ->type_name("TIME");
  command
      .add_option("--lease-timeout", values.lease_timeout,
                  "a run unheard for so long is taken for dead (default: 60s)")
      ->group(group)
      ->type_name("TIME");
  command
      .add_option("--attempts", values.attempts,
                  "failed attempts after which a job is parked (default: 3)")
      ->group(group)
      ->type_name("INT");
  command
      .add_flag("--retry-parked", values.retry_parked,
                "let parked jobs and blocked workers try again")
      ->group(group);
  command
      .add_flag("--dry-run", values.dry_run,
                "check every job and say what would be rendered; write nothing")
      ->group(group);
}

void check_batch_arguments(const BatchArguments& values, Problems& problems) {
  check_choice("schedule", values.schedule, {"fifo", "priority", "shortest", "largest"}, problems);
  check_choice("balance", values.balance, {"round-robin", "least-loaded", "measured"}, problems);
  const auto in_range = [&](const char* flag, int value, int least) {
    if (value < least || value > most) {
      problems.add("{}: {}: expected {} to {}", flag, value, least, most);
    }
  };
  in_range("ranks-per-job", values.ranks_per_job, 0);
  in_range("max-concurrent", values.max_concurrent, 0);
  in_range("attempts", values.attempts, 1);
  const auto duration = [&](const char* flag, const std::string& text) {
    try {
      if (!text.empty()) static_cast<void>(parse_duration(text));
    } catch (const InputError& e) {
      problems.add("{}: {}", flag, e.what());
    }
  };
  duration("job-timeout", values.job_timeout);
  duration("lease-timeout", values.lease_timeout);
}

}  // namespace weft
