#include "scale_command.h"

#include <cstdio>

#include "weft/io/atomic_file.h"
#include "weft/run/stop_request.h"
#include "weft/scaling/measure.h"
#include "weft/scaling/result.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

// What the command line says wrong has been told: any value will do then.
Weak weak_of(const std::string& text) {
  return text == "frames" ? Weak::frames : text == "width" ? Weak::width : Weak::none;
}

ScaleOptions scale_options(const Arguments& arguments) {
  const ScaleArguments& scale = arguments.scale;
  ScaleOptions options{.folder = arguments.job.output,
                       .job = arguments.job,
                       .ranks = {},
                       .repeats = scale.repeats,
                       .weak = weak_of(scale.weak),
                       .keep_clips = scale.keep_clips};
  Problems told;
  if (!scale.ranks_list.empty()) {
    told.collect([&] { options.ranks = parse_ranks(scale.ranks_list); });
  }
  return options;
}

/// Prints every group, and leaves all of it in `folder` when there is one.
void tell(std::vector<RunRecord> records, const ScaleArguments& scale, const fs::path& folder,
          const std::vector<std::string>& notes) {
  const auto groups = group_records(std::move(records), weak_of(scale.weak));
  std::optional<double> bandwidth;
  if (scale.bandwidth > 0) bandwidth = scale.bandwidth * 1e9;
  std::vector<ScalingResult> results;
  for (const RecordGroup& group : groups) results.push_back(fit_records(group, bandwidth, notes));
  if (results.size() > 1) {
    std::puts(
        fmt::format("{} kinds of work, which are not compared with each other", results.size())
            .c_str());
  }
  for (const ScalingResult& result : results) std::fputs(("\n" + describe(result)).c_str(), stdout);
  if (folder.empty()) return;
  const fs::path file = folder / "scaling.json";
  write_text_file(file, to_json(results));
  std::puts(fmt::format("\nfigures       {}", file.string()).c_str());
}

}  // namespace

void fit_known_records(const Arguments& arguments) {
  const fs::path& folder = arguments.job.output;
  if (!folder.empty() && !fs::is_directory(folder)) {
    fail_input("output: there is no folder {}; make it first", folder.string());
  }
  tell(read_records(arguments.scale.from), arguments.scale, folder, {});
}

int scale_command(const Arguments& arguments, const Problems& found, const Session& session) {
  const Communicator world = Communicator::world();
  const ScaleOptions options = scale_options(arguments);
  if (arguments.scale.dry_run) {
    check_scaling(options, found, world, session);
    return 0;
  }
  if (!measure_scaling(options, found, world, session)) return stopped_exit_code;
  const auto notes = measuring_notes(options, world, session);
  if (world.rank() != 0) return 0;
  tell(read_records({options.folder}), arguments.scale, options.folder, notes);
  return 0;
}

}  // namespace weft
