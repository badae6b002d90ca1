#include "svg_legend.h"

#include "weft/scaling/colours.h"

namespace weft {
namespace {

constexpr double legend_font = 13, line_height = 21, gap = 20;

double sample_width(Sample sample) {
  return sample == Sample::box || sample == Sample::mark ? 14 : 30;
}

}  // namespace

void draw_mark(Svg& svg, Mark mark, SvgPoint at, const Colour& colour, const std::string& hint) {
  switch (mark) {
    case Mark::none:
      return;
    case Mark::dot:
      svg.dot(at, 4.5, colour, hint);
      return;
    case Mark::small_dot:
      svg.dot(at, 2, colour, hint);
      return;
    case Mark::ring:
      svg.ring(at, 5.2, colour, hint);
      return;
  }
}

Legend::Legend(std::vector<LegendEntry> entries, double width) : entries_(std::move(entries)) {
  double x = 0, y = 0;
  for (const LegendEntry& e : entries_) {
    const double wide = sample_width(e.sample) + 6 + text_width(e.name, legend_font);
    if (x > 0 && x + wide > width) {
      x = 0;
      y += line_height;
    }
    places_.push_back({x, y});
    x += wide + gap;
  }
  height_ = entries_.empty() ? 0 : y + line_height;
}

void Legend::draw(Svg& svg, double left, double top) const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const LegendEntry& e = entries_[i];
    const double x = left + places_[i].x, middle = top + places_[i].y + line_height / 2;
    const double wide = sample_width(e.sample);
    if (e.band) {
      svg.area({{x, middle - 6}, {x + wide, middle - 6}, {x + wide, middle + 6}, {x, middle + 6}},
               e.colour, 0.18);
    }
    if (e.sample == Sample::box) {
      svg.rect(x, middle - 7, wide, 14, e.colour);
    } else {
      if (e.sample != Sample::mark) {
        svg.line({x, middle}, {x + wide, middle}, e.colour, 2, e.dash);
      }
      if (e.sample != Sample::line) draw_mark(svg, e.mark, {x + wide / 2, middle}, e.colour, "");
    }
    svg.text({x + wide + 6, middle + 4.5}, e.name, ink_colour(), {.size = legend_font});
  }
}

}  // namespace weft
