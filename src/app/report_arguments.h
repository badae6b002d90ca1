#pragma once
// The options of `weft report`.

#include <filesystem>
#include <string>
#include <vector>

#include "weft/base/error.h"

namespace CLI {
class App;
}

namespace weft {

struct ReportArguments {
  std::vector<std::filesystem::path> records;   // files, and folders to search
  std::filesystem::path page, svg, csv, trace;  // "": not made
  std::string weak = "none";                    // none | frames | width
  double bandwidth = 0;                         // GB/s; 0: to be fitted
};

/// `values` must outlive the parsing.
void add_report_options(CLI::App& command, ReportArguments& values);
/// Nothing to read or to write, places that cannot be written.
void check_report_arguments(const ReportArguments& values, Problems& problems);

}  // namespace weft
