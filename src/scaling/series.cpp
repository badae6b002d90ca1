#include "weft/scaling/series.h"

#include <algorithm>
#include <map>
#include <set>

#include "weft/base/error.h"
#include "weft/base/hash.h"

#include "noise.h"

namespace weft {
namespace {

// Job keys that change how much is computed or written, beside what the record has resolved.
constexpr const char* keys_of_work[] = {
    "storyboard", "sampler", "window-shift", "boundary-ratio", "decode",        "codec",
    "crf",        "preset",  "pix-fmt",      "contact-sheet",  "shard-weights", "checkpoint-every",
};

std::string windows_text(const RunRecord& r) {
  Fnv hash;
  for (const Box& box : r.windows) {
    for (const Range& axis : box.axis) hash.add(fmt::format("{} {} ", axis.begin, axis.end));
  }
  return fmt::format("{} ({:04x})", r.windows.size(), hash.value() & 0xffff);
}

std::string devices_of(const RunRecord& r) {
  std::set<std::string> names;
  for (const RankReport& rank : r.ranks) names.insert(rank.device);
  return fmt::format("{}", fmt::join(names, " + "));
}

std::string threads_of(const RunRecord& r) {
  std::set<int> threads;
  for (const RankReport& rank : r.ranks) threads.insert(rank.threads);
  return fmt::format("{}", fmt::join(threads, " or "));
}

double total_flops(const RunRecord& r) {
  double sum = 0;
  for (const double f : r.flops) sum += f;
  return sum;
}

double exchange_bytes(const RunRecord& r) {
  std::int64_t most = 0;
  for (const RankReport& rank : r.ranks) most = std::max(most, rank.bytes_sent);
  return static_cast<double>(most);
}

int ranks_of(const RunRecord& r) { return static_cast<int>(r.ranks.size()); }

/// "128 x 128, 17 frames, 25 steps with guidance, 1 window, weft-mini; cpu f32, AMD EPYC".
std::string work_text(const RunRecord& r, Weak weak) {
  std::string text =
      fmt::format("{} x {}, {} frames, {} steps{}, {} window{}, {}; {} {}, {}", r.width, r.height,
                  r.frames, r.steps, r.guidance_scale > 1 ? " with guidance" : "", r.windows.size(),
                  r.windows.size() == 1 ? "" : "s", r.model, r.device, r.precision, devices_of(r));
  if (r.device != "cuda") {
    text += fmt::format(", {} thread{} a rank", threads_of(r), threads_of(r) == "1" ? "" : "s");
  }
  if (weak == Weak::frames) text += "; the frames grow with the ranks";
  if (weak == Weak::width) text += "; the width grows with the ranks";
  return text;
}

/// Values that the texts do not show, of the keys in which groups differ.
void tell_apart(std::vector<RecordGroup>& groups, const std::vector<WorkKey>& keys) {
  static const std::set<std::string> shown = {"width",  "height",    "frames",  "steps",
                                              "device", "precision", "devices", "threads"};
  for (std::size_t k = 0; k < keys.front().size(); ++k) {
    std::set<std::string> values;
    for (const WorkKey& key : keys) values.insert(key[k].second);
    if (values.size() < 2 || shown.contains(keys.front()[k].first)) continue;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      groups[g].work += fmt::format("; {} {}", keys[g][k].first,
                                    keys[g][k].second.empty() ? "none" : keys[g][k].second);
    }
  }
}

double cells_of(const Box& box) { return static_cast<double>(box.cells()); }

/// That windows are more work than one pass over the clip would be, and on one rank too.
std::string windows_note(const std::vector<RunRecord>& records, Weak weak) {
  std::size_t most = 0;
  for (const RunRecord& r : records) most = std::max(most, r.windows.size());
  if (most < 2) return {};
  const RunRecord& r = records.back();  // of the most ranks
  double computed = 0;
  Box all = r.windows.front();
  for (const Box& box : r.windows) {
    computed += cells_of(box);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      all.axis[axis].begin = std::min(all.axis[axis].begin, box.axis[axis].begin);
      all.axis[axis].end = std::max(all.axis[axis].end, box.axis[axis].end);
    }
  }
  return fmt::format(
      "The clip is computed in windows ({}{}), whose overlaps make it {:.2f} times the cells of "
      "the "
      "clip: windows change the arithmetic, so speed-up is against one rank that computes {}, not "
      "against one pass over the undivided clip.",
      weak == Weak::none ? "" : "at most ", most, computed / cells_of(all),
      weak == Weak::none ? "the same windows" : "windows of the same size");
}

ScalingSeries series_of_stage(const std::vector<RunRecord>& records, Weak weak,
                              const std::string& name, const auto& seconds, const auto& work) {
  ScalingSeries made{.name = name, .weak = weak != Weak::none, .runs = {}};
  for (const RunRecord& r : records) {
    made.runs.push_back({.ranks = ranks_of(r),
                         .seconds = seconds(r),
                         .work = weak == Weak::none ? 1 : work(r),
                         .exchange_bytes = 0,
                         .source = r.path.string()});
  }
  return made;
}

/// Median over the records with the fewest ranks.
double first_median(const ScalingSeries& series) {
  int fewest = series.runs.front().ranks;
  for (const ScalingRun& r : series.runs) fewest = std::min(fewest, r.ranks);
  std::vector<double> seconds;
  for (const ScalingRun& r : series.runs) {
    if (r.ranks == fewest) seconds.push_back(r.seconds);
  }
  return median(seconds);
}

}  // namespace

WorkKey work_key(const RunRecord& r, Weak weak) {
  WorkKey key;
  if (weak != Weak::width) key.emplace_back("width", fmt::format("{}", r.width));
  key.emplace_back("height", fmt::format("{}", r.height));
  if (weak != Weak::frames) key.emplace_back("frames", fmt::format("{}", r.frames));
  key.emplace_back("steps", fmt::format("{}", r.steps));
  key.emplace_back("guidance", r.guidance_scale > 1 ? "yes" : "no");
  key.emplace_back("first-frame", r.config_value("image").empty() ? "no" : "yes");
  for (const char* name : keys_of_work) key.emplace_back(name, r.config_value(name));
  if (weak == Weak::none) key.emplace_back("windows", windows_text(r));
  key.emplace_back("model", r.model_fingerprint.empty() ? r.model : r.model_fingerprint);
  key.emplace_back("device", r.device);
  key.emplace_back("precision", r.precision);
  return key;
}

WorkKey run_key(const RunRecord& r, Weak weak) {
  WorkKey key = work_key(r, weak);
  key.emplace_back("devices", devices_of(r));
  key.emplace_back("threads", r.device == "cuda" ? "" : threads_of(r));
  return key;
}

std::vector<RecordGroup> group_records(std::vector<RunRecord> records, Weak weak) {
  std::vector<RecordGroup> groups;
  std::vector<WorkKey> keys;
  for (RunRecord& r : records) {
    WorkKey key = run_key(r, weak);
    const auto at = std::find(keys.begin(), keys.end(), key);
    const auto index = static_cast<std::size_t>(at - keys.begin());
    if (at == keys.end()) {
      keys.push_back(std::move(key));
      groups.push_back({.work = {}, .weak = weak, .records = {}, .warnings = {}});
    }
    RecordGroup& group = groups[index];
    if (r.resumed_steps > 0) {
      group.warnings.push_back(fmt::format(
          "{} is left out: the clip was continued after step {}, and its times are of the rest.",
          r.path.string(), r.resumed_steps));
    } else {
      group.records.push_back(std::move(r));
    }
  }
  for (RecordGroup& group : groups) {
    std::stable_sort(group.records.begin(), group.records.end(),
                     [](const RunRecord& a, const RunRecord& b) {
                       return std::pair(a.ranks.size(), a.path) < std::pair(b.ranks.size(), b.path);
                     });
    if (!group.records.empty()) group.work = work_text(group.records.front(), weak);
  }
  if (groups.size() > 1) tell_apart(groups, keys);
  return groups;
}

std::vector<ScalingSeries> series_of(const std::vector<RunRecord>& records, Weak weak) {
  if (records.empty()) fail_input("there are no records to fit");
  Problems problems;
  const WorkKey first = run_key(records.front(), weak);
  for (const RunRecord& r : records) {
    const WorkKey key = run_key(r, weak);
    for (std::size_t k = 0; k < key.size(); ++k) {
      if (key[k] == first[k]) continue;
      problems.add("{}: {} is \"{}\", in {} it is \"{}\": different work is not compared",
                   r.path.string(), key[k].first, key[k].second, records.front().path.string(),
                   first[k].second);
    }
    if (weak != Weak::none && total_flops(r) <= 0) {
      problems.add("{}: the record counts no operations: weak scaling is per work",
                   r.path.string());
    }
  }
  problems.throw_if_any();

  std::vector<ScalingSeries> made;
  made.push_back(series_of_stage(
      records, weak, "whole", [](const RunRecord& r) { return r.busy_seconds(); }, total_flops));
  for (std::size_t i = 0; i < records.size(); ++i) {
    made.front().runs[i].exchange_bytes = exchange_bytes(records[i]);
  }
  if (std::string note = windows_note(records, weak); !note.empty()) {
    made.front().notes.push_back(std::move(note));
  }
  const double whole = first_median(made.front());
  for (int s = 0; s < stage_count; ++s) {
    const auto stage = static_cast<Stage>(s);
    if (stage == Stage::load) continue;
    const auto at = static_cast<std::size_t>(s);
    ScalingSeries of_stage = series_of_stage(
        records, weak, stage_name(stage),
        [&](const RunRecord& r) { return r.stage_seconds(stage); },
        [&](const RunRecord& r) { return r.flops[at] > 0 ? r.flops[at] : total_flops(r); });
    const auto something = [](const ScalingRun& r) { return r.seconds > 0; };
    if (std::all_of(of_stage.runs.begin(), of_stage.runs.end(), something) &&
        first_median(of_stage) > least_stage_share * whole) {
      made.push_back(std::move(of_stage));
    }
  }
  return made;
}

std::vector<RunRecord> read_records(const std::vector<std::filesystem::path>& paths) {
  namespace fs = std::filesystem;
  Problems problems;
  std::set<fs::path> files;
  for (const fs::path& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.insert(path);  // what is wrong with it, its reader tells
      continue;
    }
    bool any = false;
    for (auto at = fs::recursive_directory_iterator(path, error);
         !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
      const std::string name = at->path().filename().string();
      if (!name.ends_with(".record.h5") || name.starts_with(".")) continue;
      files.insert(at->path());
      any = true;
    }
    if (error) {
      problems.add("{}: {}", path.string(), error.message());
    } else if (!any) {
      problems.add("{}: there is no run record (*.record.h5) in this folder", path.string());
    }
  }
  std::vector<RunRecord> made;
  for (const fs::path& file : files) {
    problems.collect([&] { made.push_back(read_run_record(file)); });
  }
  problems.throw_if_any();
  return made;
}

}  // namespace weft
