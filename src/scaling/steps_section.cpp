// How long each denoising step took.
#include <algorithm>
#include <map>
#include <numeric>

#include "weft/scaling/colours.h"
#include "weft/scaling/svg_plot.h"
#include "weft/scaling/ticks.h"

#include "sections.h"

namespace weft {
namespace {

/// Seconds of every step: from when the first rank began with it to when the last one was done,
/// less what belongs to the step before.
std::vector<PlotPoint> steps_of(const RunRecord& run) {
  std::map<int, Span> steps;
  for (const RankReport& r : run.ranks) {
    for (const Span& s : r.spans) {
      const bool denoising = s.stage == Stage::denoise || s.stage == Stage::exchange;
      if (!denoising || s.step < 0) continue;
      const auto [at, is_new] = steps.emplace(s.step, s);
      if (is_new) continue;
      at->second.begin = std::min(at->second.begin, s.begin);
      at->second.end = std::max(at->second.end, s.end);
    }
  }
  std::vector<PlotPoint> points;
  double last_end = -1;
  for (const auto& [step, span] : steps) {
    const double begin = std::max(span.begin, last_end);
    const double seconds = std::max(0.0, span.end - begin);
    points.push_back({double(step + 1), seconds,
                      fmt::format("step {}: {} s", step + 1, number_text(seconds, 4))});
    last_end = span.end;
  }
  return points;
}

double median_of(const std::vector<PlotPoint>& points) {
  std::vector<double> values;
  for (const PlotPoint& p : points) values.push_back(p.y);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

}  // namespace

Section steps_section(const Works& works) {
  Section section{"steps", "Step times", {}};
  for (std::size_t w = 0; w < works.size(); ++w) {
    const std::string of_work = works.size() > 1 ? ": " + works[w].name : "";
    Plot plot{.id = work_id("step-times", w),
              .title = "Seconds of each denoising step" + of_work,
              .description = {},
              .height = 340,
              .x = {.title = "step"},
              .y = {.title = "seconds"},
              .series = {}};
    Table table{work_id("steps", w),
                "Seconds of a denoising step" + of_work,
                {"ranks", "steps", "first", "median", "mean", "longest", "sum", "record"},
                {}};
    double longest = 0, last = 1;
    const auto& counts = works[w].counts;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto points = steps_of(*counts[i].typical);
      if (points.empty()) continue;
      const std::string ranks = ranks_text(static_cast<std::size_t>(counts[i].ranks));
      const double sum = std::accumulate(points.begin(), points.end(), 0.0,
                                         [](double s, const PlotPoint& p) { return s + p.y; });
      const double most =
          std::ranges::max_element(points, {}, [](const PlotPoint& p) { return p.y; })->y;
      const double median = median_of(points);
      longest = std::max(longest, most);
      last = std::max(last, points.back().x);
      plot.description += fmt::format("{}{}: median {} s", plot.series.empty() ? "" : "; ", ranks,
                                      number_text(median, 3));
      table.rows.push_back({counts[i].ranks,
                            static_cast<std::int64_t>(points.size()),
                            {points.front().y, 4},
                            {median, 4},
                            {sum / static_cast<double>(points.size()), 4},
                            {most, 4},
                            {sum, 4},
                            record_name(*counts[i].typical)});
      plot.series.push_back({.name = ranks,
                             .colour = ranks_colour(i, counts.size()),
                             .points = points,
                             .mark = Mark::small_dot,
                             .band = {}});
    }
    if (plot.series.empty()) continue;
    plot.x.low = 0;
    plot.x.high = last + 0.5;
    plot.y.high = rounded_up(longest, 8);
    section.blocks.emplace_back(Figure{
        plot.id, plot.title, draw_plot(plot),
        "From the end of the step before until the last rank was done, exchange included; the run "
        "with the middle wall time of each number of ranks."});
    section.blocks.emplace_back(std::move(table));
  }
  return section;
}

}  // namespace weft
