// Receives records, hands back a report and leaves it as files.
#include "weft/scaling/report.h"

#include <algorithm>
#include <map>
#include <set>

#include "weft/io/atomic_file.h"
#include "weft/scaling/series.h"

#include "sections.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t most_works = 8;  // whose figures are drawn; more would be a book

void add_section(Report& report, Section section) {
  if (!section.blocks.empty()) report.sections.push_back(std::move(section));
}

/// Clips that grow with the ranks are different works until one says so.
std::string weak_hint(const std::vector<RunRecord>& records, Weak asked) {
  if (asked != Weak::none) return "";
  for (const auto& [weak, name] : {std::pair{Weak::frames, "frames"}, {Weak::width, "width"}}) {
    std::map<WorkKey, std::map<WorkKey, std::set<std::size_t>>> ranks;  // by work, by clip
    for (const RunRecord& r : records) {
      ranks[run_key(r, weak)][run_key(r)].insert(r.ranks.size());
    }
    for (const auto& [work, clips] : ranks) {
      std::set<std::size_t> counts;
      std::size_t runs = 0;
      for (const auto& [clip, of_clip] : clips) {
        counts.insert(of_clip.begin(), of_clip.end());
        runs += of_clip.size();
      }
      if (clips.size() < 2 || runs > clips.size() || counts.size() < clips.size()) continue;
      return fmt::format("each number of ranks has a {} of its own: --weak {} compares them",
                         weak == Weak::frames ? "number of frames" : "width", name);
    }
  }
  return "";
}

std::vector<std::string> warnings_of(const FoundRecords& found, const Works& works, Weak weak) {
  std::vector<std::string> warnings = found.warnings;
  if (std::string hint = weak_hint(found.records, weak); !hint.empty()) {
    warnings.push_back(std::move(hint));
  }
  for (const Work& work : works) {
    warnings.insert(warnings.end(), work.warnings.begin(), work.warnings.end());
    // The same sentence of several series is told once.
    std::vector<std::pair<std::string, std::string>> told;  // sentence, series
    for (const FittedSeries& s : work.series) {
      for (const std::string& w : s.fit.warnings) {
        const auto same = std::ranges::find(told, w, [](const auto& t) { return t.first; });
        if (same == told.end()) {
          told.emplace_back(w, s.fit.name);
        } else {
          same->second += ", " + s.fit.name;
        }
      }
    }
    for (const auto& [sentence, series] : told) {
      warnings.push_back(
          fmt::format("{}{}: {}", works.size() > 1 ? work.name + ", " : "", series, sentence));
    }
  }
  for (const RunRecord& r : found.records) {
    if (r.schema < 2) {
      warnings.push_back(fmt::format(
          "{}: written by weft {} without steps and with a clock of each rank's own: its timelines "
          "may be shifted against each other",
          record_name(r), r.weft_version));
    }
    if (r.resumed_steps > 0) {
      warnings.push_back(fmt::format(
          "{}: {} of {} steps were done by an earlier run; its times are those of the rest",
          record_name(r), r.resumed_steps, r.steps));
    }
  }
  return warnings;
}

template <class T, class F>
std::vector<fs::path> write_blocks(const fs::path& folder, const Report& report,
                                   const char* extension, F&& text) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("cannot make the folder {}: {}", folder.string(), error.message());
  std::vector<fs::path> written;
  for (const Section& section : report.sections) {
    for (const Block& block : section.blocks) {
      const T* wanted = std::get_if<T>(&block);
      if (wanted == nullptr) continue;
      written.push_back(folder / (wanted->id + extension));
      write_text_file(written.back(), text(*wanted));
    }
  }
  return written;
}

}  // namespace

std::string work_id(const char* name, std::size_t work) {
  return work == 0 ? name : fmt::format("{}-{}", name, work + 1);
}

Report make_report(const FoundRecords& found, const ReportOptions& options) {
  WEFT_ASSERT(!found.records.empty(), "a report of no records");
  Report report;
  Works works = works_of(found.records, options);
  fill_header(report, found.records, works);
  report.warnings = warnings_of(found, works, options.weak);
  Section jobs = jobs_section(found.records);
  if (works.size() > most_works) {
    jobs.blocks.emplace_back(Note{
        fmt::format("The figures below are of {} of {} kinds of work.", most_works, works.size())});
    works.resize(most_works);
  }
  add_section(report, std::move(jobs));
  std::size_t scaled = 0;
  for (const Work& work : works) scaled += work.series.empty() ? 0 : 1;
  std::size_t index = 0;
  for (const Work& work : works) {
    if (!work.series.empty()) add_section(report, speedup_section(work, index++, scaled));
  }
  add_section(report, stages_section(works));
  add_section(report, timeline_section(works));
  add_section(report, steps_section(works));
  add_section(report, memory_section(works));
  add_section(report, frames_section(works));
  add_section(report, provenance_section(found.records));
  return report;
}

std::vector<fs::path> write_figures(const fs::path& folder, const Report& report) {
  return write_blocks<Figure>(folder, report, ".svg", [](const Figure& f) { return f.svg; });
}

std::vector<fs::path> write_tables(const fs::path& folder, const Report& report) {
  return write_blocks<Table>(folder, report, ".csv", csv_text);
}

}  // namespace weft
