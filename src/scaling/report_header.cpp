// What was run, on what, how to repeat it, and the figures to remember.
#include <algorithm>
#include <cmath>
#include <set>

#include "weft/run/job.h"

#include "sections.h"

namespace weft {
namespace {

std::string shell_word(const std::string& word) {
  const char* plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+,./:@%^";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string made = "'";
  for (const char c : word) made += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return made + "'";
}

std::string launcher_of(const RunRecord& run) {
  return run.ranks.size() > 1 ? fmt::format("mpirun -n {} ", run.ranks.size()) : "";
}

/// The command that a person would type: the keys that differ from what they are by themselves.
std::string command_of(const RunRecord& run) {
  std::string command = launcher_of(run) + "weft render";
  const Job untouched;
  std::string output;
  for (const JobKey& key : job_keys()) {
    const auto known =
        std::ranges::find(run.config, key.name, [](const auto& c) { return c.first; });
    if (known == run.config.end()) continue;  // of a later weft
    const std::string& value = known->second;
    const bool of_record = std::string(key.name) == "record" || std::string(key.name) == "resume";
    if (value == key.get(untouched) || of_record) continue;
    if (std::string(key.name) == "output") {
      output = " -o " + shell_word(value);
    } else if (key.type == JobValue::toggle) {
      command += fmt::format(" --{}{}", value == "true" ? "" : "no-", key.name);
    } else {
      command += fmt::format(" --{} {}", key.name, shell_word(value));
    }
  }
  return command + output;
}

/// The values that records have, each once, in order; more than `most` are counted.
template <class F>
std::string values_of(const std::vector<RunRecord>& records, std::size_t most, F&& value) {
  std::vector<std::string> all;
  for (const RunRecord& r : records) {
    for (const std::string& v : value(r)) {
      if (!v.empty() && std::ranges::find(all, v) == all.end()) all.push_back(v);
    }
  }
  const std::size_t shown = std::min(most, all.size());
  std::string text = fmt::format(
      "{}", fmt::join(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown), "; "));
  if (all.size() > shown) text += fmt::format(" and {} more", all.size() - shown);
  return text;
}

using Texts = std::vector<std::string>;

std::string joined(const Texts& texts) { return fmt::format("{}", fmt::join(texts, ", ")); }

Texts machines_of(const RunRecord& run) {
  std::set<std::string> hosts, devices, threads;
  for (const RankReport& r : run.ranks) {
    hosts.insert(r.host);
    if (!r.device.empty()) devices.insert(r.device);
  }
  std::string text = hosts.size() > 3 ? fmt::format("{} hosts", hosts.size())
                                      : fmt::format("{}", fmt::join(hosts, ", "));
  if (!devices.empty()) text += fmt::format(": {}", fmt::join(devices, ", "));
  return {text};
}

std::string threads_text(const RunRecord& run) {
  std::set<int> threads;
  for (const RankReport& r : run.ranks) threads.insert(r.threads);
  return fmt::format("{} of {} thread{} each", ranks_text(run.ranks.size()),
                     fmt::join(threads, " or "), threads == std::set<int>{1} ? "" : "s");
}

void add_clip_facts(Report& report, const std::vector<RunRecord>& records) {
  const auto fact = [&](const char* name, const std::string& value) {
    if (!value.empty()) report.facts.push_back({name, value, false});
  };
  fact("Model", values_of(records, 4, [](const RunRecord& r) {
         return Texts{fmt::format("{}, {} layers of width {}{}{}", r.model, r.layers, r.dim,
                                  r.precision.empty() ? "" : ", ", r.precision)};
       }));
  fact("Clip", values_of(records, 4, [](const RunRecord& r) {
         return Texts{fmt::format("{}, {:g} frames a second, guidance {:g}, shift {:g}",
                                  clip_text(r), r.fps, r.guidance_scale, r.flow_shift)};
       }));
  fact("Prompt",
       values_of(records, 3, [](const RunRecord& r) { return Texts{r.config_value("prompt")}; }));
  fact("Seed",
       values_of(records, 8, [](const RunRecord& r) { return Texts{r.config_value("seed")}; }));
}

void add_machine_facts(Report& report, const std::vector<RunRecord>& records) {
  const auto fact = [&](const char* name, const std::string& value) {
    if (!value.empty()) report.facts.push_back({name, value, false});
  };
  fact("Machine", values_of(records, 4, machines_of));
  fact("Ranks", values_of(records, 8, [](const RunRecord& r) { return Texts{threads_text(r)}; }));
  fact("Shared as", values_of(records, 6, [](const RunRecord& r) { return Texts{r.grid.str()}; }));
  fact("Versions",
       values_of(records, 3, [](const RunRecord& r) { return Texts{joined(r.versions)}; }));
  fact("Slurm job", values_of(records, 8, [](const RunRecord& r) { return Texts{r.slurm_job}; }));
  fact("Written",
       records.size() == 1
           ? records.front().written
           : fmt::format("{} to {}", std::ranges::min(records, {}, &RunRecord::written).written,
                         std::ranges::max(records, {}, &RunRecord::written).written));
}

void add_single_highlights(Report& report, const RunRecord& run) {
  const auto add = [&](double value, const char* unit, const char* name, std::string detail) {
    report.highlights.push_back({number_text(value, 3) + unit, name, std::move(detail)});
  };
  const double wall = run.wall_seconds();
  add(wall, " s", "whole clip", ranks_text(run.ranks.size()));
  add(run.stage_seconds(Stage::denoise), " s", "denoise", "rank with the most");
  add(run.stage_seconds(Stage::decode), " s", "decode", "rank with the most");
  if (run.frames_made > 0 && wall > 0) {
    add(double(run.frames_made) / wall, "", "frames a second", "loading included");
  }
  double memory = 0;
  for (const RankReport& r : run.ranks) memory = std::max(memory, r.peak_memory);
  add(memory / 1e9, " GB", "memory", "rank with the most, on the host");
  if (const auto cost = run.cost()) add(*cost, "", "cost", "at the price given");
}

void add_many_highlights(Report& report, const std::vector<RunRecord>& records) {
  double seconds = 0, rank_hours = 0;
  std::int64_t frames = 0;
  for (const RunRecord& r : records) {
    seconds += r.wall_seconds();
    rank_hours += r.wall_seconds() * static_cast<double>(r.ranks.size()) / 3600;
    frames += r.frames_made;
  }
  report.highlights.push_back({std::to_string(records.size()), "clips", ""});
  report.highlights.push_back({std::to_string(frames), "frames", ""});
  report.highlights.push_back(
      {number_text(seconds / static_cast<double>(records.size()), 3) + " s", "a clip", "mean"});
  report.highlights.push_back({number_text(rank_hours, 3), "hours of ranks", "wall time x ranks"});
}

void add_scaling_highlights(Report& report, const Work& work) {
  const ScalingFit& fit = work.series.front().fit;
  const ScalingPoint& last = fit.points.back();
  const std::string on = "on " + ranks_text(static_cast<std::size_t>(last.ranks));
  report.highlights.push_back({number_text(last.speedup, 3), "times as fast", on});
  report.highlights.push_back({fmt::format("{:.0f} %", 100 * last.efficiency), "efficiency", on});
  report.highlights.push_back({number_text(last.seconds, 3) + " s", "without loading", on});
  const LawFit* amdahl = fit.law(Law::amdahl);
  if (amdahl == nullptr) return;
  const Estimate& a = amdahl->parameters.front().second;
  report.highlights.push_back(
      {number_text(a.value, 2), "serial part a",
       std::isfinite(a.low) && std::isfinite(a.high)
           ? fmt::format("95 %: {} to {}", number_text(a.low, 2), number_text(a.high, 2))
           : "no interval: too few runs"});
}

}  // namespace

void fill_header(Report& report, const std::vector<RunRecord>& records, const Works& works) {
  const RunRecord& first = records.front();
  const auto scaled = std::ranges::find_if(works, [](const Work& w) { return !w.series.empty(); });
  const std::string models =
      values_of(records, 3, [](const RunRecord& r) { return Texts{r.model}; });
  if (records.size() == 1) {
    report.title = fmt::format("{} on {}", models, ranks_text(first.ranks.size()));
    report.subtitle = clip_text(first);
  } else {
    report.title = scaled != works.end() ? "Scaling of " + models : "Runs of " + models;
    report.subtitle = fmt::format(
        "{} runs: {}", records.size(),
        works.size() == 1 ? works.front().name : fmt::format("{} kinds of work", works.size()));
  }
  if (scaled != works.end()) {
    add_scaling_highlights(report, *scaled);
  } else if (records.size() == 1) {
    add_single_highlights(report, first);
  } else {
    add_many_highlights(report, records);
  }
  add_clip_facts(report, records);
  add_machine_facts(report, records);
  const RunRecord& repeated = scaled != works.end() ? *scaled->counts.back().typical : first;
  report.facts.push_back({"To repeat", command_of(repeated), true});
  if (!repeated.path.empty()) {
    report.facts.push_back({"or",
                            fmt::format("{}weft render --from-record {} -o clip.mp4",
                                        launcher_of(repeated), shell_word(repeated.path.string())),
                            true});
  }
}

}  // namespace weft
