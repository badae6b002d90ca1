#pragma once
// From run records to what a law of speed-up is fitted to.

#include <string>
#include <utility>
#include <vector>

#include "weft/run/run_record.h"
#include "weft/scaling/fit.h"

namespace weft {

/// How the clip grows with the number of ranks; `none`: it is the same on all (strong scaling).
enum class Weak { none, frames, width };

/// A stage that takes less than this part of the whole is not looked at.
inline constexpr double least_stage_share = 0.01;

/// What must be equal for times to be compared, name and value: the resolved size and sampling,
/// the model's fingerprint, the windows, encoder settings, device and precision. Prompts, seeds
/// and the way the ranks share the work are not among it; the axis that grows is neither, nor are,
/// then, the windows.
using WorkKey = std::vector<std::pair<std::string, std::string>>;
WorkKey work_key(const RunRecord& record, Weak weak = Weak::none);
/// The same with what it ran on: names of GPUs or processors, and on CPUs the threads of a rank.
WorkKey run_key(const RunRecord& record, Weak weak = Weak::none);

/// Records of the same work on the same kind of machine, on any number of ranks.
struct RecordGroup {
  std::string work;  // for people; differs between groups
  Weak weak = Weak::none;
  std::vector<RunRecord> records;     // by ranks, then by file
  std::vector<std::string> warnings;  // what was left out
};
/// Groups in the order in which their first record comes. Records of clips that were continued
/// from a checkpoint are left out: their times are not those of the clip.
std::vector<RecordGroup> group_records(std::vector<RunRecord> records, Weak weak = Weak::none);

/// "whole" (without loading the model), then every stage that took more than 1 % of it on the
/// smallest number of ranks and something on all: the exclusive time of the rank that spent the
/// most. Work is the plan's floating-point operations, the stage's own where they are counted, and
/// matters for weak scaling. "whole" has the bytes that the busiest rank sent. InputError: no
/// records, records of different work, or weak scaling of records without counted operations.
std::vector<ScalingSeries> series_of(const std::vector<RunRecord>& records, Weak weak = Weak::none);

/// The run records among files and folders (with their subfolders: *.record.h5), each read.
/// InputError: every one that is not there or cannot be read, and a folder without any.
std::vector<RunRecord> read_records(const std::vector<std::filesystem::path>& paths);

}  // namespace weft
