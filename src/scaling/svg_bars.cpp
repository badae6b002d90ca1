#include "weft/scaling/svg_bars.h"

#include <algorithm>

#include "weft/scaling/colours.h"
#include "weft/scaling/ticks.h"

#include "svg_legend.h"

namespace weft {
namespace {

constexpr double bar_font = 14, part_font = 12.5;
constexpr double bars_top = 8, bars_bottom = 54, bars_right = 24;
constexpr double most_label = 230;

std::vector<LegendEntry> legend_of(const Bars& bars) {
  std::vector<LegendEntry> entries;
  for (const auto& [name, colour] : bars.legend) {
    entries.push_back({.name = name, .colour = colour});
  }
  return entries;
}

double row_height(std::size_t rows) {
  return std::clamp(560.0 / static_cast<double>(std::max<std::size_t>(rows, 1)), 7.0, 34.0);
}

struct Frame {
  double left, top, width, row, scale;  // scale: pixels per unit
};

void draw_row(Svg& svg, const BarRow& row, double y, const Frame& frame) {
  const double thick = frame.row * (frame.row > 12 ? 0.74 : 0.88);
  double end = 0;
  for (const BarPart& part : row.parts) {
    const double x = frame.left + part.begin * frame.scale;
    const double wide = (part.end - part.begin) * frame.scale;
    svg.rect(x, y, wide, thick, part.colour, part.hint);
    if (thick >= 15 && !part.label.empty() && text_width(part.label, part_font) + 8 < wide) {
      svg.text({x + wide / 2, y + thick / 2 + 4.5}, part.label, on_colour(part.colour),
               {.size = part_font, .anchor = Anchor::middle});
    }
    end = std::max(end, part.end);
  }
  if (!row.end_label.empty() && thick >= 10) {
    svg.text({frame.left + end * frame.scale + 6, y + thick / 2 + 4.5}, row.end_label,
             soft_ink_colour(), {.size = 13});
  }
}

}  // namespace

std::string draw_bars(const Bars& bars) {
  double longest = 0, label_width = text_width(bars.row_title, bar_font), end_width = 0;
  for (const BarRow& row : bars.rows) {
    for (const BarPart& part : row.parts) longest = std::max(longest, part.end);
    label_width = std::max(label_width, text_width(row.label, bar_font));
    end_width = std::max(end_width, text_width(row.end_label, 13));
  }
  if (!(longest > 0)) longest = 1;
  const double left = std::min(label_width, most_label) + 20;
  const Legend legend(legend_of(bars), bars.width - 2 * bars_right);
  const double above = bars_top + legend.height() + (legend.height() > 0 ? 8 : 0);
  const double row = row_height(bars.rows.size());
  const double below = above + row * static_cast<double>(bars.rows.size());
  const double width = bars.width - left - bars_right - (end_width > 0 ? end_width + 10 : 0);
  const Frame frame{left, above, width, row, width / longest};

  Svg svg(bars.id, bars.title, bars.description, bars.width, below + bars_bottom);
  legend.draw(svg, bars_right, bars_top);
  for (const double t : linear_ticks(0, longest, 9)) {
    const double x = left + t * frame.scale;
    svg.line({x, above}, {x, below}, grid_colour(), 1);
    svg.text({x, below + 20}, tick_text(t), soft_ink_colour(),
             {.size = bar_font, .anchor = Anchor::middle});
  }
  const std::size_t every = (bars.rows.size() + 23) / 24;
  for (std::size_t i = 0; i < bars.rows.size(); ++i) {
    const double y = above + row * static_cast<double>(i);
    draw_row(svg, bars.rows[i], y, frame);
    if (i % every != 0) continue;
    svg.text({left - 8, y + row * 0.37 + 5}, shortened(bars.rows[i].label, bar_font, most_label),
             ink_colour(), {.size = bar_font, .anchor = Anchor::end});
  }
  svg.line({left, above}, {left, below}, soft_ink_colour(), 1.2);
  svg.line({left, below}, {left + width, below}, soft_ink_colour(), 1.2);
  svg.text({left + width / 2, below + 44}, bars.axis_title, ink_colour(),
           {.size = bar_font, .anchor = Anchor::middle});
  svg.text({left - 8, below + 44}, bars.row_title, soft_ink_colour(),
           {.size = bar_font, .anchor = Anchor::end});
  return svg.str();
}

}  // namespace weft
