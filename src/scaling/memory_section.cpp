// The most memory that ranks held.
#include <algorithm>

#include "weft/scaling/colours.h"
#include "weft/scaling/svg_bars.h"

#include "sections.h"

namespace weft {
namespace {

constexpr double gigabyte = 1e9;

double device_peak(const RankReport& rank) {
  return static_cast<double>(*std::ranges::max_element(rank.device_peaks));
}

/// The most of any rank of any run.
double most_of(const RunsOfCount& count, double (*value)(const RankReport&)) {
  double most = 0;
  for (const RunRecord* run : count.runs) {
    for (const RankReport& r : run->ranks) most = std::max(most, value(r));
  }
  return most;
}

double host_peak(const RankReport& rank) { return rank.peak_memory; }

}  // namespace

Section memory_section(const Works& works) {
  Section section{"memory", "Memory", {}};
  for (std::size_t w = 0; w < works.size(); ++w) {
    const std::string of_work = works.size() > 1 ? ": " + works[w].name : "";
    Bars bars{.id = work_id("memory-peaks", w),
              .title = "Peak memory of the rank that held most" + of_work,
              .description = {},
              .axis_title = "GB",
              .row_title = "",
              .legend = {},
              .rows = {}};
    Table table{work_id("memory", w),
                "Peak memory of the rank that held most, GB" + of_work,
                {"ranks", "host", "GPU"},
                {}};
    std::vector<Stage> stages;
    for (std::size_t s = 0; s < stage_count; ++s) {
      for (const RunsOfCount& count : works[w].counts) {
        const bool used = std::ranges::any_of(count.runs, [&](const RunRecord* run) {
          return std::ranges::any_of(run->ranks,
                                     [&](const RankReport& r) { return r.device_peaks[s] > 0; });
        });
        if (!used) continue;
        stages.push_back(static_cast<Stage>(s));
        table.columns.push_back(fmt::format("GPU, {}", stage_name(static_cast<Stage>(s))));
        break;
      }
    }
    for (const RunsOfCount& count : works[w].counts) {
      const double host = most_of(count, host_peak) / gigabyte;
      const double gpu = most_of(count, device_peak) / gigabyte;
      const std::string ranks = ranks_text(static_cast<std::size_t>(count.ranks));
      const auto add = [&](const char* what, double value, const Colour& colour) {
        bars.rows.push_back({fmt::format("{}, {}", ranks, what),
                             {{colour, 0, value, "", ""}},
                             number_text(value, 3) + " GB"});
        bars.description += fmt::format("{}{}, {}: {} GB", bars.description.empty() ? "" : "; ",
                                        ranks, what, number_text(value, 3));
      };
      add("host", host, ranks_colour(1, 3));
      if (gpu > 0) add("GPU", gpu, ranks_colour(2, 3));
      std::vector<Cell> row{count.ranks, {host, 4}, Cell()};
      if (gpu > 0) row.back() = {gpu, 4};
      for (const Stage stage : stages) {
        std::int64_t most = 0;
        for (const RunRecord* run : count.runs) {
          for (const RankReport& r : run->ranks) {
            most = std::max(most, r.device_peaks[static_cast<std::size_t>(stage)]);
          }
        }
        row.emplace_back(static_cast<double>(most) / gigabyte, 4);
      }
      table.rows.push_back(row);
    }
    section.blocks.emplace_back(
        Figure{bars.id, bars.title, draw_bars(bars),
               "Host: resident memory of the process, mapped weights that were touched included."});
    section.blocks.emplace_back(without_empty_columns(table));
  }
  return section;
}

}  // namespace weft
