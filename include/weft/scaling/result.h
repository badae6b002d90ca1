#pragma once
// Everything that is known of how one kind of work scales, and how it is told.

#include <optional>
#include <string>
#include <vector>

#include "weft/scaling/series.h"

namespace weft {

/// Seconds of one stage by number of ranks.
struct StageTimes {
  std::string name;
  std::vector<double> seconds;  // median of the repeats, by point of the fit of the whole
};

struct ScalingResult {
  std::string work;  // for people
  bool weak = false;
  std::vector<ScalingFit> fits;         // "whole" first, then stages
  std::vector<StageTimes> stages;       // that took more than 1 % of the whole on some ranks
  std::vector<double> planned_speedup;  // by point, of `weft plan` (denoise, decode); 0: not known
  std::vector<std::string> grids;       // by point: how the ranks shared the denoising
  std::vector<std::string> sources;     // files of the records
  std::vector<std::string> warnings;    // of the group; those of the fits are with them
};

/// Fits every series of a group; one that cannot be fitted is told among the warnings.
/// `bandwidth`: bytes per second and rank, measured. `notes`: what a reader must know of the runs.
ScalingResult fit_records(const RecordGroup& group, std::optional<double> bandwidth = {},
                          const std::vector<std::string>& notes = {});

/// Numbers of ranks that predictions are given for: twice the largest measured one, and on by
/// powers of two to 4096.
std::vector<int> predicted_ranks(const ScalingFit& fit);

/// Tables for people: times, stages, laws, predictions, warnings.
std::string describe(const ScalingResult& result);

/// The same with everything in it, as JSON: {"schema": 1, "weft_version": ..., "groups": [...]}.
/// What is infinite or not known is null.
std::string to_json(const std::vector<ScalingResult>& results);

}  // namespace weft
