#pragma once
// The line of names above a figure.

#include <string>
#include <vector>

#include "weft/scaling/svg_plot.h"

namespace weft {

enum class Sample { box, line, mark, line_and_mark };

struct LegendEntry {
  std::string name;
  Colour colour;
  Sample sample = Sample::box;
  Dash dash = Dash::solid;
  Mark mark = Mark::none;
  bool band = false;
};

/// Where entries stand when they are set in lines of at most `width`.
class Legend {
 public:
  Legend(std::vector<LegendEntry> entries, double width);
  [[nodiscard]] double height() const { return height_; }
  void draw(Svg& svg, double left, double top) const;

 private:
  std::vector<LegendEntry> entries_;
  std::vector<SvgPoint> places_;
  double height_ = 0;
};

void draw_mark(Svg& svg, Mark mark, SvgPoint at, const Colour& colour, const std::string& hint);

}  // namespace weft
