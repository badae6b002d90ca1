// Groups of records to fits.
#include "weft/scaling/result.h"

#include <algorithm>

#include "weft/base/error.h"

#include "noise.h"

namespace weft {
namespace {

constexpr int most_ranks = 4096;

/// The median of `value` over the records of every number of ranks.
template <class F>
std::vector<double> by_point(const RecordGroup& group, const ScalingFit& whole, F&& value) {
  std::vector<double> made;
  for (const ScalingPoint& p : whole.points) {
    std::vector<double> values;
    for (const RunRecord& r : group.records) {
      if (std::ssize(r.ranks) == p.ranks) values.push_back(value(r));
    }
    made.push_back(median(std::move(values)));
  }
  return made;
}

}  // namespace

ScalingResult fit_records(const RecordGroup& group, std::optional<double> bandwidth,
                          const std::vector<std::string>& notes) {
  ScalingResult made;
  made.work = group.work;
  made.weak = group.weak != Weak::none;
  made.warnings = group.warnings;
  if (group.records.empty()) return made;
  for (const RunRecord& r : group.records) made.sources.push_back(r.path.string());
  for (ScalingSeries& series : series_of(group.records, group.weak)) {
    if (series.name == "whole") {
      series.bandwidth = bandwidth;
      series.notes.insert(series.notes.end(), notes.begin(), notes.end());
    }
    made.fits.push_back(fit_scaling(series));
  }
  const ScalingFit& whole = made.fits.front();
  for (int s = 0; s < stage_count; ++s) {
    const auto stage = static_cast<Stage>(s);
    if (stage == Stage::load) continue;
    StageTimes times{stage_name(stage), by_point(group, whole, [&](const RunRecord& r) {
                       return r.stage_seconds(stage);
                     })};
    bool counts = false;
    for (std::size_t p = 0; p < whole.points.size(); ++p) {
      counts = counts || times.seconds[p] > least_stage_share * whole.points[p].seconds;
    }
    if (counts) made.stages.push_back(std::move(times));
  }
  made.planned_speedup =
      by_point(group, whole, [](const RunRecord& r) { return r.predicted_speedup; });
  for (const ScalingPoint& p : whole.points) {
    const auto first = std::find_if(group.records.begin(), group.records.end(),
                                    [&](const auto& r) { return std::ssize(r.ranks) == p.ranks; });
    made.grids.push_back(first->grid.str());
  }
  return made;
}

std::vector<int> predicted_ranks(const ScalingFit& fit) {
  std::vector<int> made;
  int n = 1;
  while (!fit.points.empty() && n < 2 * fit.points.back().ranks) n *= 2;
  for (; n <= most_ranks; n *= 2) made.push_back(n);
  return made;
}

}  // namespace weft
