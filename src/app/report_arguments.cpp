#include "report_arguments.h"

#include <algorithm>
#include <cmath>

#include <CLI/CLI.hpp>
#include <unistd.h>

namespace weft {
namespace fs = std::filesystem;
namespace {

void check_file(const char* flag, const fs::path& path, Problems& problems) {
  if (path.empty()) return;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code ignored;
  if (fs::is_directory(path, ignored) || !path.has_filename()) {
    problems.add("{}: {} is a folder; name a file", flag, path.string());
  } else if (!fs::is_directory(folder, ignored)) {
    problems.add("{}: {}: there is no folder {}; make it first", flag, path.string(),
                 folder.string());
  } else if (access(folder.c_str(), W_OK) != 0) {
    problems.add("{}: {}: the folder {} cannot be written", flag, path.string(), folder.string());
  }
}

/// A folder that is there, or can be made.
void check_folder(const char* flag, const fs::path& path, Problems& problems) {
  if (path.empty()) return;
  std::error_code ignored;
  fs::path there = fs::absolute(path);
  while (!fs::exists(there, ignored) && there.has_relative_path()) there = there.parent_path();
  if (!fs::is_directory(there, ignored)) {
    problems.add("{}: {}: {} is a file; name a folder", flag, path.string(), there.string());
  } else if (access(there.c_str(), W_OK) != 0) {
    problems.add("{}: {}: the folder {} cannot be written", flag, path.string(), there.string());
  }
}

}  // namespace

void add_report_options(CLI::App& command, ReportArguments& values) {
  command
      .add_option("records", values.records,
                  "run records (.h5), and folders that are searched for *.record.h5")
      ->type_name("RECORD|DIR");
  command
      .add_option("--weak", values.weak,
                  "frames or width: the clips grew so with the ranks (default: none)")
      ->group("Scaling")
      ->type_name("AXIS");
  command
      .add_option("--bandwidth", values.bandwidth,
                  "measured bandwidth of a rank, GB/s, for the law of exchange (default: fitted)")
      ->group("Scaling")
      ->type_name("FLOAT");
  const auto add = [&](const char* flag, fs::path& value, const char* type, const char* help) {
    command.add_option(flag, value, help)->group("Output")->type_name(type);
  };
  add("-o,--output", values.page, "FILE", "the report: one HTML page that needs nothing else");
  add("--svg", values.svg, "DIR", "every figure as a drawing of its own");
  add("--csv", values.csv, "DIR", "every table, numbers in full");
  add("--trace", values.trace, "FILE", "spans of all ranks for chrome://tracing or Perfetto, JSON");
}

void check_report_arguments(const ReportArguments& values, Problems& problems) {
  if (values.records.empty()) {
    problems.add("report: name run records (*.record.h5) or folders that hold some");
  }
  if (values.page.empty() && values.svg.empty() && values.csv.empty() && values.trace.empty()) {
    problems.add("report: nothing to write: name a page with -o FILE (or --svg, --csv, --trace)");
  }
  if (values.weak != "none" && values.weak != "frames" && values.weak != "width") {
    problems.add("weak: \"{}\" is unknown: expected none, frames or width", values.weak);
  }
  if (!std::isfinite(values.bandwidth) || values.bandwidth < 0) {
    problems.add("bandwidth: {}: expected a positive number of GB/s", values.bandwidth);
  }
  check_file("output", values.page, problems);
  check_file("trace", values.trace, problems);
  check_folder("svg", values.svg, problems);
  check_folder("csv", values.csv, problems);
  std::error_code ignored;
  for (const fs::path& made : {values.page, values.trace}) {
    const bool is_input = std::ranges::any_of(values.records, [&](const fs::path& record) {
      return !made.empty() && fs::equivalent(made, record, ignored);
    });
    if (is_input) problems.add("{}: is a record to read; write elsewhere", made.string());
  }
}

}  // namespace weft
