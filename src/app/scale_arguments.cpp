#include "scale_arguments.h"

#include <cmath>

#include <CLI/CLI.hpp>

#include "weft/scaling/measure.h"

namespace weft {

void add_scale_options(CLI::App& command, ScaleArguments& values) {
  const char* group = "Scaling";
  command
      .add_option("--from", values.from,
                  "fit run records that are there (files, or folders with *.record.h5) instead of "
                  "measuring")
      ->group(group)
      ->type_name("RECORD...");
  command
      .add_option("--ranks-list", values.ranks_list,
                  "numbers of ranks, as in 1,2,3 (default: powers of two, and all of the run)")
      ->group(group)
      ->type_name("LIST");
  command.add_option("--repeats", values.repeats, "measured runs of each (default: 3)")
      ->group(group)
      ->type_name("INT");
  command
      .add_option("--weak", values.weak,
                  "frames or width: the clip grows with the ranks (default: none, the same clip)")
      ->group(group)
      ->type_name("AXIS");
  command
      .add_option("--bandwidth", values.bandwidth,
                  "measured bandwidth of a rank, GB/s, for the law of exchange (default: fitted)")
      ->group(group)
      ->type_name("FLOAT");
  command
      .add_flag("--keep-clips,!--no-keep-clips", values.keep_clips,
                "keep one clip for each number of ranks (default), or none")
      ->group(group);
  command
      .add_flag("--dry-run", values.dry_run,
                "check the job and say what would be run; write nothing")
      ->group(group);
}

void check_scale_arguments(const ScaleArguments& values, Problems& problems) {
  if (values.weak != "none" && values.weak != "frames" && values.weak != "width") {
    problems.add("weak: \"{}\" is unknown: expected none, frames or width", values.weak);
  }
  if (values.repeats < 1 || values.repeats > 1000) {
    problems.add("repeats: {}: expected 1 to 1000", values.repeats);
  }
  if (!std::isfinite(values.bandwidth) || values.bandwidth < 0) {
    problems.add("bandwidth: {}: expected a positive number of GB/s", values.bandwidth);
  }
  if (!values.ranks_list.empty()) {
    problems.collect([&] { static_cast<void>(parse_ranks(values.ranks_list)); });
  }
}

}  // namespace weft
