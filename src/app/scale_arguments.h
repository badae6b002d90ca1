#pragma once
// The options that `weft scale` has beside those of a job.

#include <filesystem>
#include <string>
#include <vector>

#include "weft/base/error.h"

namespace CLI {
class App;
}

namespace weft {

struct ScaleArguments {
  std::vector<std::filesystem::path> from;  // records and folders to fit; nothing is measured then
  std::string ranks_list;                   // "1,2,4"; "": powers of two and all
  int repeats = 3;
  std::string weak = "none";  // none | frames | width
  double bandwidth = 0;       // GB/s of a rank; 0: not given
  bool keep_clips = true, dry_run = false;
};

/// `values` must outlive the parsing.
void add_scale_options(CLI::App& command, ScaleArguments& values);
void check_scale_arguments(const ScaleArguments& values, Problems& problems);

}  // namespace weft
