// Where the time of the ranks goes, by stage.
#include <algorithm>

#include "weft/scaling/colours.h"
#include "weft/scaling/svg_bars.h"

#include "sections.h"

namespace weft {
namespace {

/// Seconds of one rank, averaged over the ranks of all runs that make a row.
struct Means {
  std::array<double, stage_count> stages{};
  double other = 0;  // before the rank was done, in no stage
  double idle = 0;   // after that, until the slowest rank was done
  [[nodiscard]] double wall() const {
    double sum = other + idle;
    for (const double s : stages) sum += s;
    return sum;
  }
};

Means means_of(const std::vector<const RunRecord*>& runs) {
  Means means;
  double ranks = 0;
  for (const RunRecord* run : runs) {
    const double wall = run->wall_seconds();
    for (const RankReport& r : run->ranks) {
      const auto seconds = exclusive_seconds(r.spans);
      double named = 0;
      for (std::size_t s = 0; s < stage_count; ++s) {
        means.stages[s] += seconds[s];
        named += seconds[s];
      }
      means.other += std::max(0.0, r.wall_seconds - named);
      means.idle += wall - r.wall_seconds;
      ranks += 1;
    }
  }
  if (ranks == 0) return means;
  for (double& s : means.stages) s /= ranks;
  means.other /= ranks;
  means.idle /= ranks;
  return means;
}

BarRow row_of(const std::string& label, const Means& means) {
  BarRow row{label, {}, number_text(means.wall(), 3) + " s"};
  double at = 0;
  const auto add = [&](const std::string& name, const Colour& colour, double seconds) {
    if (!(seconds > 0)) return;
    const std::string text = number_text(seconds, 3);
    row.parts.push_back({colour, at, at + seconds,
                         fmt::format("{}: {} s ({:.1f} %)", name, text,
                                     100 * seconds / std::max(means.wall(), 1e-300)),
                         text});
    at += seconds;
  };
  for (std::size_t s = 0; s < stage_count; ++s) {
    const auto stage = static_cast<Stage>(s);
    add(stage_name(stage), stage_colour(stage), means.stages[s]);
  }
  add("other", other_colour(), means.other);
  add("done early", idle_colour(), means.idle);
  return row;
}

}  // namespace

Section stages_section(const Works& works) {
  Section section{"stages", "Stages", {}};
  for (std::size_t w = 0; w < works.size(); ++w) {
    const Work& work = works[w];
    const std::string of_work = works.size() > 1 ? ": " + work.name : "";
    Bars bars{.id = work_id("stage-bars", w),
              .title = "Seconds by stage" + of_work,
              .description = {},
              .axis_title = "seconds of a rank, mean over ranks and runs",
              .row_title = "",
              .legend = {},
              .rows = {}};
    Table table{work_id("stage-seconds", w),
                "Seconds of a rank by stage, mean over ranks and runs" + of_work,
                {"ranks", "runs"},
                {}};
    std::vector<Means> all;
    for (const RunsOfCount& count : work.counts) all.push_back(means_of(count.runs));
    std::vector<std::size_t> present;
    for (std::size_t s = 0; s < stage_count; ++s) {
      if (std::ranges::none_of(all, [&](const Means& m) { return m.stages[s] > 0; })) continue;
      present.push_back(s);
      const auto stage = static_cast<Stage>(s);
      table.columns.emplace_back(stage_name(stage));
      bars.legend.emplace_back(stage_name(stage), stage_colour(stage));
    }
    bars.legend.emplace_back("other", other_colour());
    bars.legend.emplace_back("done early", idle_colour());
    table.columns.insert(table.columns.end(), {"other", "done early", "wall"});
    for (std::size_t i = 0; i < all.size(); ++i) {
      const RunsOfCount& count = work.counts[i];
      const std::string label = ranks_text(static_cast<std::size_t>(count.ranks));
      bars.rows.push_back(row_of(label, all[i]));
      bars.description +=
          fmt::format("{}{}: {} s", i == 0 ? "" : "; ", label, number_text(all[i].wall(), 3));
      std::vector<Cell> row{count.ranks, static_cast<std::int64_t>(count.runs.size())};
      for (const std::size_t s : present) row.push_back(Cell::seconds(all[i].stages[s]));
      for (const double s : {all[i].other, all[i].idle, all[i].wall()}) {
        row.push_back(Cell::seconds(s));
      }
      table.rows.push_back(row);
    }
    section.blocks.emplace_back(
        Figure{bars.id, bars.title, draw_bars(bars),
               "A stage within another counts for itself alone, so that the parts add up to the "
               "wall time. Other: in no stage. Done early: until the slowest rank was done."});
    section.blocks.emplace_back(std::move(table));
  }
  return section;
}

}  // namespace weft
