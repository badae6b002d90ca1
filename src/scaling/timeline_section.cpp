// What every rank did when.
#include <algorithm>

#include "weft/scaling/colours.h"
#include "weft/scaling/segments.h"
#include "weft/scaling/svg_bars.h"

#include "sections.h"

namespace weft {
namespace {

constexpr std::size_t most_timelines = 8;   // of a report; more are a book
constexpr std::size_t most_parts = 12'000;  // of a figure: about 1.5 MB
constexpr std::size_t most_labels = 20;     // of a row, for hints

double first_begin(const RunRecord& run) {
  double first = 0;
  bool any = false;
  for (const RankReport& r : run.ranks) {
    for (const Span& s : r.spans) {
      first = any ? std::min(first, s.begin) : s.begin;
      any = true;
    }
  }
  return first;
}

BarRow row_of(const RankReport& rank, double origin, double last, std::size_t most) {
  const auto exact = exclusive_segments(rank.spans);
  const auto segments = coarser(exact, origin, last, most);
  BarRow row{fmt::format("{}", rank.rank), {}, ""};
  for (const Segment& s : segments) {
    const char* name = stage_name(s.stage);
    // Hints cost as much as the shape: long pieces alone have one.
    const bool told = s.end - s.begin > (last - origin) / most_labels / 10;
    row.parts.push_back(
        {stage_colour(s.stage), s.begin - origin, s.end - origin,
         told ? fmt::format("rank {}, {}: {} to {} s", rank.rank, name,
                            number_text(s.begin - origin, 4), number_text(s.end - origin, 4))
              : "",
         ""});
  }
  return row;
}

Figure timeline(const RunRecord& run, const std::string& id, const std::string& title) {
  const double origin = first_begin(run);
  double last = origin;
  std::size_t pieces = 0;
  for (const RankReport& r : run.ranks) {
    pieces += r.spans.size();
    for (const Span& s : r.spans) last = std::max(last, s.end);
  }
  const std::size_t most = most_parts / std::max<std::size_t>(run.ranks.size(), 1);
  Bars bars{.id = id,
            .title = title,
            .description = fmt::format("{}, {} s; seconds of every rank by stage are in the table.",
                                       ranks_text(run.ranks.size()), number_text(last - origin, 3)),
            .axis_title = "seconds since the job began",
            .row_title = "rank",
            .legend = {},
            .rows = {}};
  for (std::size_t s = 0; s < stage_count; ++s) {
    const auto stage = static_cast<Stage>(s);
    const bool present = std::ranges::any_of(
        run.ranks, [&](const RankReport& r) { return exclusive_seconds(r.spans)[s] > 0; });
    if (present) bars.legend.emplace_back(stage_name(stage), stage_colour(stage));
  }
  for (const RankReport& r : run.ranks) bars.rows.push_back(row_of(r, origin, last, most));
  std::string caption = record_name(run) + ": one row for each rank.";
  if (pieces > most_parts) caption += " Pieces too short to draw are shown in their proportion.";
  return {id, title, draw_bars(bars), caption};
}

Table table_of(const RunRecord& run, const std::string& id, const std::string& title) {
  Table table{id, title, {"rank", "host"}, {}};
  std::vector<std::array<double, stage_count>> seconds;
  for (const RankReport& r : run.ranks) seconds.push_back(exclusive_seconds(r.spans));
  std::vector<std::size_t> present;
  for (std::size_t s = 0; s < stage_count; ++s) {
    if (std::ranges::none_of(seconds, [&](const auto& of_rank) { return of_rank[s] > 0; }))
      continue;
    present.push_back(s);
    table.columns.emplace_back(stage_name(static_cast<Stage>(s)));
  }
  table.columns.insert(table.columns.end(), {"wall s", "sent, bytes"});
  for (std::size_t i = 0; i < run.ranks.size(); ++i) {
    const RankReport& r = run.ranks[i];
    std::vector<Cell> row{r.rank, r.host};
    for (const std::size_t s : present) row.push_back(Cell::seconds(seconds[i][s]));
    row.push_back(Cell::seconds(r.wall_seconds));
    row.emplace_back(r.bytes_sent);
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace

Section timeline_section(const Works& works) {
  Section section{"timelines", "Timeline of every rank", {}};
  std::size_t made = 0, all = 0;
  for (std::size_t w = 0; w < works.size(); ++w) {
    for (const RunsOfCount& count : works[w].counts) {
      all += count.runs.size();
      if (made == most_timelines) continue;
      ++made;
      const std::string ranks = ranks_text(static_cast<std::size_t>(count.ranks));
      const std::string of_work = works.size() > 1 ? ": " + works[w].name : "";
      const std::string id = fmt::format("{}-{}", work_id("timeline", w), count.ranks);
      section.blocks.emplace_back(timeline(*count.typical, id, "Timeline, " + ranks + of_work));
      section.blocks.emplace_back(
          table_of(*count.typical, fmt::format("{}-{}", work_id("rank-seconds", w), count.ranks),
                   "Seconds by rank and stage, " + ranks + of_work));
    }
  }
  if (all > made) {
    section.blocks.insert(
        section.blocks.begin(),
        Note{fmt::format("{} of {} runs: for each number of ranks the one with the middle wall "
                         "time. A report of a single record shows that one's.",
                         made, all)});
  }
  return section;
}

}  // namespace weft
