#include "speedup_plots.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "weft/scaling/colours.h"
#include "weft/scaling/svg_plot.h"

namespace weft {
namespace {

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

/// `steps` numbers of ranks from `from` to `to`, evenly on a log axis.
std::vector<double> curve_ranks(double from, double to, int steps = 64) {
  std::vector<double> ranks;
  for (int i = 0; i <= steps; ++i) ranks.push_back(from * std::pow(to / from, i / double(steps)));
  return ranks;
}

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
      repeats.points.push_back(
          {double(run.ranks), shown(quantity, speedup, run.ranks),
           fmt::format("{}: {} s", std::filesystem::path(run.source).filename().string(),
                       number_text(run.seconds, 4))});
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

/// From a little below the lowest value measured, and lines as far as a quarter of it; `to`: the
/// ideal at the right edge.
PlotAxis speedup_axis(const std::vector<PlotSeries>& all, double to) {
  double measured = 1, drawn = 1;
  for (const PlotSeries& s : all) {
    for (const PlotPoint& p : s.points) {
      double& low = s.mark == Mark::none ? drawn : measured;
      low = std::min(low, p.y);
    }
  }
  const double low = std::min(measured, std::max(drawn, measured / 4));
  return {"speed-up T(1) / T(N)", AxisScale::log2, low / margin, to * margin, TickFormat::number};
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

const Colour& series_colour(const std::string& name, std::size_t place) {
  for (int s = 0; s < stage_count; ++s) {
    if (name == stage_name(static_cast<Stage>(s))) return stage_colour(static_cast<Stage>(s));
  }
  return name == "whole" ? whole_colour() : law_colour(place);
}

/// A law whose AICc is more than 10 above the best one's has next to no support in the data
/// (Burnham and Anderson, "Model Selection and Multimodel Inference", 2002, 2.6): its curve would
/// only stand in the way. NaN, of too few runs, excludes nothing.
bool is_drawn(const LawFit& law, const LawFit& best) { return !(law.aic > best.aic + 10); }

}  // namespace

Figure law_figure(const LawFigure& wanted, const FittedSeries& fitted) {
  const auto [id, title, caption, quantity, to] = wanted;
  std::vector<PlotSeries> all{ideal_series(quantity, to)};
  const auto& laws = fitted.fit.laws;
  for (std::size_t i = laws.size(); i-- > 0;) {
    if (!is_drawn(laws[i], laws.front())) continue;
    const std::string name =
        quantity == Quantity::efficiency ? law_title(laws[i].law) : law_text(laws[i]);
    add_law(all, quantity, laws[i], most_ranks(fitted.fit), to, law_colour(i), name, i == 0);
  }
  add_measured(all, quantity, fitted, whole_colour(), "measured");
  Plot plot{.id = id,
            .title = title,
            .description = in_words(fitted.fit),
            .x = ranks_axis(to),
            .y = quantity == Quantity::speedup ? speedup_axis(all, to) : efficiency_axis(all),
            .series = all};
  return plot_figure(std::move(plot), caption);
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

}  // namespace weft
