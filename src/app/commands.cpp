// Command line to commands. An exception that only one rank may have thrown ends all ranks: peers
// would wait for it for ever.
#include "weft/app/commands.h"

#include <csignal>
#include <cstdio>
#include <optional>

#include "weft/base/log.h"
#include "weft/comm/heartbeat.h"
#include "weft/device/device_api.h"
#include "weft/run/batch.h"
#include "weft/run/checkpoint.h"
#include "weft/run/engine.h"
#include "weft/run/output_claim.h"
#include "weft/run/stop_request.h"

#include "arguments.h"
#include "batch_command.h"
#include "bench_net_command.h"
#include "compare_command.h"
#include "from_record.h"
#include "inspect.h"
#include "report_command.h"
#include "scale_command.h"
#include "sweep_command.h"

namespace weft {
namespace {

constexpr int failed = 1;
constexpr int bad_input = 2;

void print_problems(const std::vector<std::string>& problems) {
  std::string text = problems.size() == 1 ? "weft: 1 problem:\n"
                                          : fmt::format("weft: {} problems:\n", problems.size());
  for (const std::string& p : problems) text += "  - " + p + "\n";
  std::fputs(text.c_str(), stderr);
}

/// Signals and time limits ask for a checkpoint and exit code 75.
void watch_for_stops(const Job& job) {
  StopRequest::install();
  if (!job.time_limit.empty()) {
    StopRequest::set_deadline(now_seconds() + parse_duration(job.time_limit),
                              "time limit of " + job.time_limit);
  }
  if (const auto left = slurm_seconds_left()) {
    StopRequest::set_deadline(now_seconds() + *left, "end of the Slurm job");
  }
}

/// The parts that can go wrong on every rank alike: arguments, checks, plan. Throws InputError on
/// all ranks or on none.
int run_command(const Arguments& arguments, const Problems& found, const Session& session) {
  const GpuShare share = gpu_share(session);
  const std::string& device =
      arguments.command == "bench-net" ? arguments.bench_net.device : arguments.job.device;
  if (share.gpus > 0 && device != "cpu") use_cuda_device(share.index);
  const Communicator comm = Communicator::world();
  // Before the models are looked at: a rank may be lost there, too.
  std::optional<Heartbeat> heartbeat;
  if (comm.size() > 1) heartbeat.emplace(comm, session);
  if (arguments.command == "bench-net") return bench_net_command(arguments, found, session);
  if (arguments.command == "batch") {
    watch_for_stops(arguments.job);
    return batch_command(arguments, found, session);
  }
  if (arguments.command == "sweep") {
    watch_for_stops(arguments.job);
    return sweep_command(arguments, found, session);
  }
  if (arguments.command == "scale") {
    watch_for_stops(arguments.job);
    return scale_command(arguments, found, session);
  }
  const bool plan = arguments.command == "plan";
  const int ranks = plan && arguments.ranks > 0 ? arguments.ranks : comm.size();
  const PreparedJob prepared =
      prepare_job(arguments.job, found, comm, session, ranks, plan ? JobUse::plan : JobUse::render,
                  arguments.ranks_per_node);
  if (plan) {
    if (comm.rank() == 0) {
      std::fputs(describe(prepared.plan, prepared.clip, prepared.model, prepared.machine).c_str(),
                 stdout);
    }
    return 0;
  }
  if (arguments.repeated && comm.rank() == 0) {
    for (const std::string& change :
         changes_since(*arguments.repeated, prepared, prepared.machine)) {
      log_warn("not as in {}: {}; the clip may differ", arguments.repeated->path.string(), change);
    }
  }
  const OutputClaim claim(arguments.job, comm);
  check_checkpoint(arguments.job, prepared, comm);
  watch_for_stops(arguments.job);
  try {
    Engine engine(comm, session, prepared.machine, arguments.job.threads, Keep::one);
    return render_job(arguments.job, prepared, engine, session) == JobEnd::stopped
               ? stopped_exit_code
               : 0;
  } catch (const InputError& e) {
    throw Error(e.what());  // from here on a problem is one rank's own
  }
}

/// Commands that one process does without the others.
int look_command(const Arguments& arguments, const Problems& found) {
  try {
    if (arguments.command == "report") {
      report_command(arguments.report, found);
      return 0;
    }
    found.throw_if_any();
    if (arguments.command == "compare") return compare_command(arguments.compare);
    if (!arguments.batch.status.empty()) {
      print_batch_status(arguments.batch.status);
    } else if (arguments.command == "scale") {
      fit_known_records(arguments);
    } else {
      std::fputs(inspect(arguments.path).c_str(), stdout);
    }
    return 0;
  } catch (const InputError& e) {
    print_problems(e.problems());
    return bad_input;
  } catch (const std::exception& e) {
    std::fputs(fmt::format("weft: {}\n", e.what()).c_str(), stderr);
    return failed;
  }
}

}  // namespace

int run_program(int argc, char** argv) {
  // A closed pipe or a file size limit is an error of the call that meets it, not a silent death.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  Problems problems;
  const Arguments arguments = parse_arguments(argc, argv, problems);
  if (problems.empty() && !arguments.help.empty()) {
    std::fputs(arguments.help.c_str(), stdout);
    return 0;
  }
  if (arguments.command == "inspect" || arguments.command == "compare" ||
      arguments.command == "report" || !arguments.batch.status.empty() ||
      !arguments.scale.from.empty()) {
    return look_command(arguments, problems);
  }

  const Session session(argc, argv);
  const LogLevel level = arguments.verbose ? LogLevel::debug
                         : arguments.quiet ? LogLevel::warn
                                           : LogLevel::info;
  log_init(level, session.size() > 1 ? session.rank() : -1);
  try {
    if (arguments.command.empty()) problems.throw_if_any();
    return run_command(arguments, problems, session);
  } catch (const InputError& e) {
    if (session.rank() == 0) print_problems(e.problems());
    return bad_input;
  } catch (const JobFailure& e) {
    if (session.rank() == 0) log_error("{} (on {})", e.what(), session.host());
    return failed;
  } catch (const BrokenGroup& e) {
    log_error("{} (on {})", e.what(), session.host());
    Session::abort(lost_rank_exit_code);
  } catch (const std::exception& e) {
    log_error("{} (on {})", e.what(), session.host());
    if (session.size() > 1) Session::abort(failed);
    return failed;
  }
}

}  // namespace weft
