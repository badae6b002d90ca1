// Measured speed-up, the laws fitted to it, and what they predict.
#include <algorithm>

#include "sections.h"
#include "speedup_plots.h"

namespace weft {
namespace {

constexpr int most_predicted = 4096;

Table points_table(const std::string& id, const Work& work) {
  Table table{id,
              "Measured",
              {"series", "ranks", "runs", "median s", "spread s", "speed-up", "efficiency",
               "Karp-Flatt", "remark"},
              {}};
  for (const FittedSeries& s : work.series) {
    for (const ScalingPoint& p : s.fit.points) {
      table.rows.push_back({s.fit.name,
                            p.ranks,
                            p.repeats,
                            {p.seconds, 4},
                            {p.spread, 2},
                            {p.speedup, 4},
                            {p.efficiency, 3},
                            {p.karp_flatt, 3},
                            p.outlier ? "set aside by the fit" : ""});
    }
  }
  return table;
}

Table runs_table(const std::string& id, const Work& work) {
  Table table{id,
              "Every run",
              {"series", "ranks", "seconds", "sent by the busiest rank, bytes", "record"},
              {}};
  for (const FittedSeries& s : work.series) {
    for (const ScalingRun& r : s.series.runs) {
      table.rows.push_back({s.fit.name,
                            r.ranks,
                            {r.seconds, 5},
                            static_cast<std::int64_t>(r.exchange_bytes),
                            r.source});
    }
  }
  return table;
}

Table laws_table(const std::string& id, const Work& work) {
  Table table{
      id,
      "Laws fitted to it, the best first (lowest AICc; laws within 2 explain it equally well)",
      {"series", "law", "parameter", "value", "95 % from", "to", "rms residual, %", "AICc"},
      {}};
  for (const FittedSeries& s : work.series) {
    for (const LawFit& law : s.fit.laws) {
      bool first = true;
      const auto add = [&](const std::string& name, const Estimate& e) {
        table.rows.push_back({s.fit.name,
                              formula_of(law.law),
                              name,
                              {e.value, 4},
                              {e.low, 4},
                              {e.high, 4},
                              first ? Cell(100 * law.rms_residual, 3) : Cell(),
                              first ? Cell(law.aic, 4) : Cell()});
        first = false;
      };
      for (const auto& [name, value] : law.parameters) add(name, value);
      add("T(1), s", law.one_rank_seconds);
    }
  }
  return table;
}

Table predictions_table(const std::string& id, const ScalingFit& fit) {
  Table table{id, fmt::format("Predicted from the fits of \"{}\"", fit.name), {"ranks"}, {}};
  for (const LawFit& law : fit.laws) {
    const std::string name = name_of(law.law);
    for (const char* what : {": speed-up", ": 95 % from", ": to", ": seconds"}) {
      table.columns.push_back(name + what);
    }
  }
  for (int n = 1; n <= most_predicted; n *= 2) {
    std::vector<Cell> row{n};
    for (const LawFit& law : fit.laws) {
      const Estimate s = law.speedup(n);
      row.insert(row.end(), {{s.value, 3}, {s.low, 3}, {s.high, 3}, {law.seconds(n).value, 4}});
    }
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace

Section speedup_section(const Work& work, std::size_t index, std::size_t works) {
  Section section{
      work_id("scaling", index), works > 1 ? fmt::format("Scaling: {}", work.name) : "Scaling", {}};
  if (work.series.empty()) return section;
  const FittedSeries& whole = work.series.front();
  const double near = std::max(4, 2 * most_ranks(whole.fit));
  const char* kind = whole.fit.weak ? "weak scaling: the work grows with the ranks"
                                    : "strong scaling: the same work on more ranks";
  section.blocks.emplace_back(law_figure(
      {work_id("speedup", index), "Speed-up",
       fmt::format("Of the whole clip, without loading ({}). Lines: fits, dashed where nothing was "
                   "measured; band: 95 % of the best. Laws far from the data are in the table "
                   "alone.",
                   kind),
       Quantity::speedup, near},
      whole));
  section.blocks.emplace_back(without_empty_columns(points_table(work_id("points", index), work)));
  section.blocks.emplace_back(law_figure({work_id("efficiency", index), "Efficiency",
                                          "Speed-up per rank.", Quantity::efficiency, near},
                                         whole));
  if (!whole.fit.laws.empty()) {
    section.blocks.emplace_back(laws_table(work_id("laws", index), work));
  }
  if (work.series.size() > 1) {
    section.blocks.emplace_back(stages_figure(work_id("speedup-stages", index), work, near));
  }
  if (!whole.fit.laws.empty()) {
    section.blocks.emplace_back(law_figure(
        {work_id("prediction", index), "Prediction",
         "The same fits continued; the further from what was measured, the less they mean.",
         Quantity::speedup, most_predicted},
        whole));
    section.blocks.emplace_back(predictions_table(work_id("predictions", index), whole.fit));
  }
  section.blocks.emplace_back(runs_table(work_id("runs", index), work));
  return section;
}

}  // namespace weft
