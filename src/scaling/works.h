#pragma once
// Records sorted by what was done: runs of the same work, by number of ranks.

#include <string>
#include <vector>

#include "weft/run/run_record.h"
#include "weft/scaling/fit.h"
#include "weft/scaling/report.h"

namespace weft {

/// Runs of one work on one number of ranks.
struct RunsOfCount {
  int ranks = 1;
  std::vector<const RunRecord*> runs;
  /// The one whose wall time is the middle one (of an even number the faster of the two).
  const RunRecord* typical = nullptr;
};

struct FittedSeries {
  ScalingSeries series;
  ScalingFit fit;
};

struct Work {
  std::string name;  // "128 x 128, 17 frames, 25 steps", with what else tells it apart
  std::vector<RunsOfCount> counts;    // ascending ranks
  std::vector<FittedSeries> series;   // empty with a single number of ranks
  std::vector<std::string> warnings;  // series that could not be fitted
};

/// The records must outlive the works. Works with several numbers of ranks first, otherwise in the
/// order of the first record of each.
std::vector<Work> works_of(const std::vector<RunRecord>& records, const ReportOptions& options);

/// The file's name; with its folder where the name is that of every job of a list or sweep.
std::string record_name(const RunRecord& record);
std::string ranks_text(std::size_t ranks);       // "1 rank", "4 ranks"
std::string clip_text(const RunRecord& record);  // "128 × 128 pixels, 17 frames, 25 steps"

}  // namespace weft
