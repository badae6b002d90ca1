#include "works.h"

#include <algorithm>
#include <map>

#include "weft/scaling/series.h"

namespace weft {
namespace {

/// What two records must share to be runs of the same work. Prompt and seed are left out: they
/// change the picture, not the time.
std::vector<std::pair<std::string, std::string>> work_key(const RunRecord& r) {
  std::vector<std::pair<std::string, std::string>> key{
      {"model", r.model},
      {"model files", r.model_fingerprint},
      {"size", clip_text(r)},
      {"guidance", r.guidance_scale == 1 ? "without guidance" : "with guidance"},
      {"device", r.device},
      {"precision", r.precision}};
  for (const char* name : {"sampler", "window", "overlap", "window-shift", "decode", "codec"}) {
    key.emplace_back(name, fmt::format("{} {}", name, r.config_value(name)));
  }
  return key;
}

/// What tells a work apart from the others, in few words.
std::string name_of_work(const RunRecord& r, const std::vector<const RunRecord*>& firsts) {
  std::string name;
  const auto mine = work_key(r);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const bool varies = std::ranges::any_of(
        firsts, [&](const RunRecord* other) { return work_key(*other)[i] != mine[i]; });
    const bool shown = mine[i].first == "size" || (varies && !mine[i].second.empty());
    if (shown) name += (name.empty() ? "" : ", ") + mine[i].second;
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

}  // namespace

std::vector<Work> works_of(const std::vector<RunRecord>& records) {
  std::vector<Work> works;
  std::vector<const RunRecord*> firsts;
  for (const RunRecord& r : records) {
    const auto key = work_key(r);
    const auto same = std::ranges::find_if(
        firsts, [&](const RunRecord* first) { return work_key(*first) == key; });
    const auto place = static_cast<std::size_t>(same - firsts.begin());
    if (same == firsts.end()) {
      firsts.push_back(&r);
      works.emplace_back();
    }
    add_run(works[place], r);
  }
  for (std::size_t w = 0; w < works.size(); ++w) {
    works[w].name = name_of_work(*firsts[w], firsts);
    std::vector<RunRecord> runs;
    for (RunsOfCount& count : works[w].counts) {
      choose_typical(count);
      for (const RunRecord* run : count.runs) runs.push_back(*run);
    }
    if (works[w].counts.size() < 2) continue;
    for (ScalingSeries& series : series_of(runs)) {
      ScalingFit fit = fit_scaling(series);
      works[w].series.push_back({std::move(series), std::move(fit)});
    }
  }
  return works;
}

std::string ranks_text(std::size_t ranks) {
  return fmt::format("{} rank{}", ranks, ranks == 1 ? "" : "s");
}

std::string clip_text(const RunRecord& r) {
  return fmt::format("{} × {} pixels, {} frames, {} steps", r.width, r.height, r.frames, r.steps);
}

}  // namespace weft
