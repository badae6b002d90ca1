#include "sweep_command.h"

#include <cstdio>

#include "weft/run/batch.h"
#include "weft/run/sweep_results.h"

#include "batch_command.h"

namespace weft {

int sweep_command(const Arguments& arguments, const Problems& found, const Session& session) {
  const Communicator world = Communicator::world();
  const bool first = world.rank() == 0;
  const BatchOptions options = batch_options(arguments);
  Problems problems = found;
  Sweep sweep;
  if (first && !arguments.path.empty()) sweep = read_sweep(arguments.path, arguments.job, problems);
  if (arguments.batch.dry_run) {
    if (first && problems.empty()) std::fputs((describe(sweep) + "\n").c_str(), stdout);
    check_batch(sweep.points, options, problems, world, session);
    return 0;
  }
  const BatchEnd end = run_batch(sweep.points, options, problems, world, session);
  if (!first) return end.exit_code;
  // The folder may hold points of an earlier, smaller sweep: then this one's are still counted.
  if (end.exit_code != 0) {
    std::puts("the table and the sheet are made when every point is done");
    return end.exit_code;
  }
  const SweepResults made = write_sweep_results(sweep, options.folder);
  std::puts(fmt::format("table   {}", made.table.string()).c_str());
  if (made.sheet.empty()) {
    std::puts("sheet   none: too many points for one picture");
  } else {
    std::puts(fmt::format("sheet   {}", made.sheet.string()).c_str());
  }
  return end.exit_code;
}

}  // namespace weft
