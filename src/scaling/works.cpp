#include "works.h"

#include <algorithm>
#include <set>

#include "weft/scaling/series.h"
#include "weft/scaling/svg.h"

namespace weft {
namespace {

/// What tells a work apart from the others, in few words.
std::string name_of_work(const RunRecord& r, const std::vector<WorkKey>& keys, Weak weak) {
  const std::set<std::string> told{"width", "height", "frames", "steps"};
  std::string name = clip_text(r);
  const WorkKey mine = run_key(r, weak);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const auto& [key, value] = mine[i];
    const bool varies = std::ranges::any_of(
        keys, [&](const WorkKey& other) { return i < other.size() && other[i] != mine[i]; });
    if (!varies || value.empty() || told.contains(key)) continue;
    name += fmt::format(", {} {}", key, shortened(value, 1, 30));
  }
  return name;
}

void add_run(Work& work, const RunRecord& r) {
  const int ranks = static_cast<int>(r.ranks.size());
  const auto place = std::ranges::lower_bound(work.counts, ranks, {}, &RunsOfCount::ranks);
  if (place != work.counts.end() && place->ranks == ranks) {
    place->runs.push_back(&r);
  } else {
    work.counts.insert(place, {ranks, {&r}, nullptr});
  }
}

void choose_typical(RunsOfCount& count) {
  std::vector<const RunRecord*> order = count.runs;
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>((order.size() - 1) / 2);
  std::ranges::nth_element(order, middle, {}, [](const RunRecord* r) { return r->wall_seconds(); });
  count.typical = *middle;
}

/// Every stage's times against the number of ranks, fitted; none with a single number of ranks.
void fit_series(Work& work, const ReportOptions& options) {
  std::vector<RunRecord> runs;
  std::set<int> ranks;
  for (const RunsOfCount& count : work.counts) {
    for (const RunRecord* run : count.runs) {
      if (run->resumed_steps > 0) continue;  // its times are not those of the whole clip
      runs.push_back(*run);
      ranks.insert(count.ranks);
    }
  }
  if (ranks.size() < 2) return;
  Problems problems;
  problems.collect([&] {
    for (ScalingSeries& series : series_of(runs, options.weak)) {
      series.bandwidth = options.bandwidth;
      problems.collect([&] {
        ScalingFit fit = fit_scaling(series);
        work.series.push_back({std::move(series), std::move(fit)});
      });
    }
  });
  work.warnings = problems.list();
}

}  // namespace

std::vector<Work> works_of(const std::vector<RunRecord>& records, const ReportOptions& options) {
  std::vector<Work> works;
  std::vector<WorkKey> keys;
  for (const RunRecord& r : records) {
    const WorkKey key = run_key(r, options.weak);
    const auto same = std::ranges::find(keys, key);
    const auto place = static_cast<std::size_t>(same - keys.begin());
    if (same == keys.end()) {
      keys.push_back(key);
      works.emplace_back();
    }
    add_run(works[place], r);
  }
  for (Work& work : works) {
    work.name = name_of_work(*work.counts.front().runs.front(), keys, options.weak);
    for (RunsOfCount& count : work.counts) choose_typical(count);
    fit_series(work, options);
  }
  // What scales comes first.
  std::ranges::stable_partition(works, [](const Work& w) { return !w.series.empty(); });
  return works;
}

std::string record_name(const RunRecord& record) {
  const std::string name = record.path.filename().string();
  if (name != "clip.record.h5" || !record.path.has_parent_path()) return name;
  return (record.path.parent_path().filename() / name).string();
}

std::string ranks_text(std::size_t ranks) {
  return fmt::format("{} rank{}", ranks, ranks == 1 ? "" : "s");
}

std::string clip_text(const RunRecord& r) {
  return fmt::format("{} × {} pixels, {} frames, {} steps", r.width, r.height, r.frames, r.steps);
}

}  // namespace weft
