#include "weft/scaling/svg_plot.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "weft/scaling/colours.h"
#include "weft/scaling/ticks.h"

#include "svg_legend.h"

namespace weft {
namespace {

constexpr double tick_font = 14, title_font = 14;
constexpr double left = 72, right = 24, bottom = 58, top = 8;

/// From values to pixels along one axis.
class Mapping {
 public:
  Mapping(const PlotAxis& axis, double from, double to) : axis_(axis), from_(from), to_(to) {}
  double operator()(double value) const {
    return from_ + (to_ - from_) * (place(value) - place(axis_.low)) /
                       (place(axis_.high) - place(axis_.low));
  }

 private:
  [[nodiscard]] double place(double value) const {
    return axis_.scale == AxisScale::log2 ? std::log2(std::max(value, axis_.low * 1e-3)) : value;
  }
  const PlotAxis& axis_;
  double from_, to_;
};

std::vector<double> ticks_of(const PlotAxis& axis, int most) {
  return axis.scale == AxisScale::log2 ? log2_ticks(axis.low, axis.high, most)
                                       : linear_ticks(axis.low, axis.high, most);
}

std::string label_of(const PlotAxis& axis, double value) {
  return axis.format == TickFormat::percent ? tick_text(std::round(value * 1e4) / 100) + " %"
                                            : tick_text(value);
}

std::vector<LegendEntry> legend_of(const std::vector<PlotSeries>& series) {
  std::vector<LegendEntry> entries;
  for (const PlotSeries& s : series) {
    if (s.name.empty()) continue;
    const Sample sample = !s.line                ? Sample::mark
                          : s.mark == Mark::none ? Sample::line
                                                 : Sample::line_and_mark;
    entries.push_back({s.name, s.colour, sample, s.dash, s.mark, !s.band.empty()});
  }
  return entries;
}

struct Area {
  double x0, y0, x1, y1;  // y0 at the top
};

void draw_axes(Svg& svg, const Plot& plot, const Area& area, const Mapping& x, const Mapping& y) {
  for (const double t : ticks_of(plot.y, 8)) {
    svg.line({area.x0, y(t)}, {area.x1, y(t)}, grid_colour(), 1);
    svg.text({area.x0 - 8, y(t) + 5}, label_of(plot.y, t), soft_ink_colour(),
             {.size = tick_font, .anchor = Anchor::end});
  }
  for (const double t : ticks_of(plot.x, 13)) {
    svg.line({x(t), area.y0}, {x(t), area.y1}, grid_colour(), 1);
    svg.text({x(t), area.y1 + 20}, label_of(plot.x, t), soft_ink_colour(),
             {.size = tick_font, .anchor = Anchor::middle});
  }
  svg.line({area.x0, area.y1}, {area.x1, area.y1}, soft_ink_colour(), 1.2);
  svg.line({area.x0, area.y0}, {area.x0, area.y1}, soft_ink_colour(), 1.2);
  svg.text({(area.x0 + area.x1) / 2, area.y1 + 46}, plot.x.title, ink_colour(),
           {.size = title_font, .anchor = Anchor::middle});
  svg.text({18, (area.y0 + area.y1) / 2}, plot.y.title, ink_colour(),
           {.size = title_font, .anchor = Anchor::middle, .upright = false});
}

void draw_band(Svg& svg, const PlotSeries& s, const Mapping& x, const Mapping& y) {
  std::vector<SvgPoint> outline;
  for (const PlotBand& b : s.band) outline.push_back({x(b.x), y(b.high)});
  for (auto b = s.band.rbegin(); b != s.band.rend(); ++b) outline.push_back({x(b->x), y(b->low)});
  svg.area(outline, s.colour, 0.18);
}

void draw_series(Svg& svg, const PlotSeries& s, const Mapping& x, const Mapping& y) {
  if (s.line && s.points.size() > 1) {
    std::vector<SvgPoint> points;
    for (const PlotPoint& p : s.points) points.push_back({x(p.x), y(p.y)});
    svg.polyline(points, s.colour, s.line_width, s.dash);
  }
}

}  // namespace

std::string draw_plot(const Plot& plot) {
  const Legend legend(legend_of(plot.series), plot.width - left - right);
  const double above = top + legend.height() + (legend.height() > 0 ? 6 : 0);
  const double height = plot.height + legend.height();
  const Area area{left, above, plot.width - right, height - bottom};
  const Mapping x(plot.x, area.x0, area.x1);
  const Mapping y(plot.y, area.y1, area.y0);
  Svg svg(plot.id, plot.title, plot.description, plot.width, height);
  legend.draw(svg, left, top);
  draw_axes(svg, plot, area, x, y);
  svg.begin_clip(area.x0, area.y0, area.x1 - area.x0, area.y1 - area.y0);
  for (const PlotSeries& s : plot.series) {
    if (!s.band.empty()) draw_band(svg, s, x, y);
  }
  for (const PlotSeries& s : plot.series) draw_series(svg, s, x, y);
  svg.end_clip();
  // Marks on the edge of the area are shown whole.
  const auto inside = [](const PlotAxis& axis, double v) {
    return v >= axis.low && v <= axis.high;
  };
  for (const PlotSeries& s : plot.series) {
    for (const PlotPoint& p : s.points) {
      if (!inside(plot.x, p.x) || !inside(plot.y, p.y)) continue;
      draw_mark(svg, s.mark, {x(p.x), y(p.y)}, s.colour, p.hint);
    }
  }
  return svg.str();
}

}  // namespace weft
