// Measured speed-up, the laws fitted to it, and what they predict.
#include <algorithm>
#include <cmath>

#include "weft/scaling/colours.h"
#include "weft/scaling/svg_plot.h"

#include "sections.h"

namespace weft {
namespace {

constexpr int most_predicted = 4096;
constexpr double margin = 1.15;  // of log axes beyond the outermost values

const char* law_title(Law law) {
  switch (law) {
    case Law::amdahl:
      return "Amdahl";
    case Law::usl:
      return "universal scalability law";
    case Law::exchange:
      return "serial + parallel/N + exchange";
  }
  return "?";
}

std::string estimate_text(const Estimate& e, int digits) {
  if (!std::isfinite(e.low) || !std::isfinite(e.high)) return number_text(e.value, digits);
  return fmt::format("{} ({} to {})", number_text(e.value, digits), number_text(e.low, digits),
                     number_text(e.high, digits));
}

/// "Amdahl, a = 0.081 (0.075 to 0.088)".
std::string law_text(const LawFit& fit) {
  std::string text = law_title(fit.law);
  if (fit.law == Law::exchange) return text;  // its parameters are many: they are in the table
  for (const auto& [name, value] : fit.parameters) {
    text += fmt::format(", {} = {}", name, estimate_text(value, 3));
  }
  return text;
}

int most_ranks(const ScalingFit& fit) { return fit.points.back().ranks; }

/// `steps` numbers of ranks from `from` to `to`, evenly on a log axis.
std::vector<double> curve_ranks(double from, double to, int steps = 64) {
  std::vector<double> ranks;
  for (int i = 0; i <= steps; ++i) ranks.push_back(from * std::pow(to / from, i / double(steps)));
  return ranks;
}

enum class Quantity { speedup, efficiency };

double shown(Quantity quantity, double speedup, double ranks) {
  return quantity == Quantity::speedup ? speedup : speedup / ranks;
}

PlotSeries ideal_series(Quantity quantity, double to) {
  return {.name = "ideal",
          .colour = soft_ink_colour(),
          .points = {{1, 1, ""}, {to, shown(quantity, to, to), ""}},
          .dash = Dash::dotted,
          .line_width = 1.6,
          .band = {}};
}

/// The curve of a law: drawn through within what was measured, dashed beyond.
void add_law(std::vector<PlotSeries>& all, Quantity quantity, const LawFit& fit, double measured,
             double to, const Colour& colour, const std::string& name, bool with_band) {
  PlotSeries within{.name = name, .colour = colour, .points = {}, .band = {}};
  PlotSeries beyond{.name = "", .colour = colour, .points = {}, .dash = Dash::dashed, .band = {}};
  bool finite = true;
  for (const double n : curve_ranks(1, to)) {
    const Estimate s = fit.speedup(n);
    (n <= measured ? within : beyond).points.push_back({n, shown(quantity, s.value, n), ""});
    finite = finite && std::isfinite(s.low) && std::isfinite(s.high);
    within.band.push_back({n, shown(quantity, s.low, n), shown(quantity, s.high, n)});
  }
  if (!within.points.empty() && !beyond.points.empty()) {
    beyond.points.insert(beyond.points.begin(), within.points.back());
  }
  if (!with_band || !finite) within.band.clear();
  all.push_back(beyond);
  all.push_back(within);
}

void add_measured(std::vector<PlotSeries>& all, Quantity quantity, const FittedSeries& fitted,
                  const Colour& colour, const std::string& name) {
  PlotSeries repeats{.name = name.empty() ? "" : name + ", each run",
                     .colour = colour,
                     .points = {},
                     .mark = Mark::small_dot,
                     .line = false,
                     .band = {}};
  PlotSeries medians = repeats;
  medians.name = name.empty() ? "" : name + ", median";
  medians.mark = Mark::ring;
  for (const ScalingPoint& p : fitted.fit.points) {
    medians.points.push_back(
        {double(p.ranks), shown(quantity, p.speedup, p.ranks),
         fmt::format("{}: {} s, speed-up {}{}", ranks_text(std::size_t(p.ranks)),
                     number_text(p.seconds, 4), number_text(p.speedup, 4),
                     p.outlier ? ", set aside by the fit" : "")});
    for (const ScalingRun& run : fitted.series.runs) {
      if (run.ranks != p.ranks) continue;
      const double speedup = p.speedup * (run.work / p.work) * (p.seconds / run.seconds);
      repeats.points.push_back({double(run.ranks), shown(quantity, speedup, run.ranks),
                                fmt::format("{}: {} s", run.source, number_text(run.seconds, 4))});
    }
  }
  const bool repeated = repeats.points.size() > medians.points.size();
  if (!repeated && !name.empty()) medians.name = name;
  all.push_back(medians);
  if (repeated) all.push_back(repeats);
}

PlotAxis ranks_axis(double to) {
  return {"ranks N", AxisScale::log2, 1 / margin, to * margin, TickFormat::number};
}

/// From a little below the lowest value shown; `to`: the ideal at the right edge.
PlotAxis speedup_axis(const std::vector<PlotSeries>& all, double to) {
  double low = 1;
  for (const PlotSeries& s : all) {
    for (const PlotPoint& p : s.points) low = std::min(low, p.y);
  }
  return {"speed-up T(1) / T(N)", AxisScale::log2, std::max(low, 1.0 / 64) / margin, to * margin,
          TickFormat::number};
}

PlotAxis efficiency_axis(const std::vector<PlotSeries>& all) {
  double high = 1;
  for (const PlotSeries& s : all) {
    for (const PlotPoint& p : s.points) high = std::max(high, p.y);
  }
  return {"efficiency speed-up / N", AxisScale::linear, 0, std::min(high * 1.06, 2.0),
          TickFormat::percent};
}

Figure plot_figure(Plot plot, const std::string& caption) {
  return {plot.id, plot.title, draw_plot(plot), caption};
}

std::string in_words(const ScalingFit& fit) {
  std::string text;
  for (const ScalingPoint& p : fit.points) {
    text += fmt::format("{}{} on {}", text.empty() ? "" : ", ", number_text(p.speedup, 3),
                        ranks_text(std::size_t(p.ranks)));
  }
  return "Measured speed-up: " + text + ".";
}

/// Curves of one series over the ranks up to `to`.
Figure law_figure(const std::string& id, Quantity quantity, const FittedSeries& whole, double to,
                  const std::string& title, const std::string& caption) {
  std::vector<PlotSeries> all{ideal_series(quantity, to)};
  const auto& laws = whole.fit.laws;
  for (std::size_t i = laws.size(); i-- > 0;) {
    const std::string name =
        quantity == Quantity::efficiency ? law_title(laws[i].law) : law_text(laws[i]);
    add_law(all, quantity, laws[i], most_ranks(whole.fit), to, law_colour(i), name, i == 0);
  }
  add_measured(all, quantity, whole, whole_colour(), "measured");
  Plot plot{.id = id,
            .title = title,
            .description = in_words(whole.fit),
            .x = ranks_axis(to),
            .y = quantity == Quantity::speedup ? speedup_axis(all, to) : efficiency_axis(all),
            .series = all};
  return plot_figure(std::move(plot), caption);
}

const Colour& series_colour(const std::string& name, std::size_t place) {
  for (int s = 0; s < stage_count; ++s) {
    if (name == stage_name(static_cast<Stage>(s))) return stage_colour(static_cast<Stage>(s));
  }
  return name == "whole" ? whole_colour() : law_colour(place);
}

Figure stages_figure(const std::string& id, const Work& work, double to) {
  std::vector<PlotSeries> all{ideal_series(Quantity::speedup, to)};
  std::string words;
  for (std::size_t i = 0; i < work.series.size(); ++i) {
    const FittedSeries& s = work.series[i];
    const Colour& colour = series_colour(s.fit.name, i);
    if (!s.fit.laws.empty()) {
      add_law(all, Quantity::speedup, s.fit.laws.front(), most_ranks(s.fit), to, colour, s.fit.name,
              false);
    }
    add_measured(all, Quantity::speedup, s, colour, s.fit.laws.empty() ? s.fit.name : "");
    words += (words.empty() ? "" : " ") + s.fit.name + ": " + in_words(s.fit);
  }
  Plot plot{.id = id,
            .title = "Speed-up by stage",
            .description = words,
            .x = ranks_axis(to),
            .y = speedup_axis(all, to),
            .series = all};
  return plot_figure(std::move(plot),
                     "Points are medians and single runs, lines the law that explains each best.");
}

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
  const double near = std::max(8, 4 * most_ranks(whole.fit));
  const char* kind = whole.fit.weak ? "weak scaling: the work grows with the ranks"
                                    : "strong scaling: the same work on more ranks";
  section.blocks.emplace_back(law_figure(
      work_id("speedup", index), Quantity::speedup, whole, near, "Speed-up",
      fmt::format("Of the whole clip, without loading ({}). Lines: fits, dashed where nothing was "
                  "measured; band: 95 % of the best.",
                  kind)));
  section.blocks.emplace_back(points_table(work_id("points", index), work));
  section.blocks.emplace_back(law_figure(work_id("efficiency", index), Quantity::efficiency, whole,
                                         near, "Efficiency", "Speed-up per rank."));
  if (!whole.fit.laws.empty()) {
    section.blocks.emplace_back(laws_table(work_id("laws", index), work));
  }
  if (work.series.size() > 1) {
    section.blocks.emplace_back(stages_figure(work_id("speedup-stages", index), work, near));
  }
  if (!whole.fit.laws.empty()) {
    section.blocks.emplace_back(law_figure(
        work_id("prediction", index), Quantity::speedup, whole, most_predicted, "Prediction",
        "The same fits continued; the further from what was measured, the less they mean."));
    section.blocks.emplace_back(predictions_table(work_id("predictions", index), whole.fit));
  }
  section.blocks.emplace_back(runs_table(work_id("runs", index), work));
  return section;
}

}  // namespace weft
