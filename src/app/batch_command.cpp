#include "batch_command.h"

#include <cstdio>

#include "weft/run/job_list.h"
#include "weft/run/queue_folder.h"
#include "weft/run/stop_request.h"

namespace weft {
namespace {

// What the command line says wrong has been told: any value will do then.
template <class T>
T choice_of(const std::string& text, std::initializer_list<std::pair<const char*, T>> choices) {
  for (const auto& [name, value] : choices) {
    if (text == name) return value;
  }
  return choices.begin()->second;
}

double seconds_of(const std::string& text) {
  try {
    return text.empty() ? 0 : parse_duration(text);
  } catch (const InputError&) {
    return 0;
  }
}

}  // namespace

BatchOptions batch_options(const Arguments& arguments) {
  const BatchArguments& batch = arguments.batch;
  return {.folder = arguments.job.output,
          .defaults = arguments.job,
          .ranks_per_job = batch.ranks_per_job,
          .order = choice_of<JobOrder>(batch.schedule, {{"fifo", JobOrder::fifo},
                                                        {"priority", JobOrder::priority},
                                                        {"shortest", JobOrder::shortest},
                                                        {"largest", JobOrder::largest}}),
          .balance = choice_of<Balance>(batch.balance, {{"round-robin", Balance::round_robin},
                                                        {"least-loaded", Balance::least_loaded},
                                                        {"measured", Balance::measured}}),
          .max_concurrent = batch.max_concurrent,
          .job_timeout = seconds_of(batch.job_timeout),
          .lease_timeout = seconds_of(batch.lease_timeout),
          .attempts = batch.attempts,
          .retry_parked = batch.retry_parked};
}

void print_batch_status(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder / "jobs")) {
    fail_input("status: {} is not the folder of a batch: it has no folder jobs", folder.string());
  }
  std::fputs(QueueFolder(folder, {}).status_text().c_str(), stdout);
}

int batch_command(const Arguments& arguments, const Problems& found, const Session& session) {
  const Communicator world = Communicator::world();
  Problems problems = found;
  std::vector<ListedJob> jobs;
  if (world.rank() == 0 && !arguments.path.empty()) {
    jobs = read_job_list(arguments.path, arguments.job, problems);
    if (problems.empty() && jobs.empty()) {
      problems.add("{}: the list has no jobs", arguments.path.string());
    }
  }
  if (arguments.batch.dry_run) {
    check_batch(jobs, batch_options(arguments), problems, world, session);
    return 0;
  }
  return run_batch(jobs, batch_options(arguments), problems, world, session).exit_code;
}

}  // namespace weft
