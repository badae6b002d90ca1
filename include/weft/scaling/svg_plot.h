#pragma once
// Curves and points over two axes.

#include <string>
#include <vector>

#include "weft/scaling/svg.h"

namespace weft {

enum class AxisScale { linear, log2 };
enum class TickFormat { number, percent };

struct PlotAxis {
  std::string title;  // with its unit
  AxisScale scale = AxisScale::linear;
  double low = 0, high = 1;  // log2: low > 0
  TickFormat format = TickFormat::number;
};

struct PlotPoint {
  double x, y;
  std::string hint;  // shown when the pointer rests on its mark
};
struct PlotBand {
  double x, low, high;
};
enum class Mark { none, dot, small_dot, ring };

/// What lies beyond the axes is cut off.
struct PlotSeries {
  std::string name;  // in the legend; "" keeps it out
  Colour colour;
  std::vector<PlotPoint> points;
  Mark mark = Mark::none;
  bool line = true;
  Dash dash = Dash::solid;
  double line_width = 2;
  std::vector<PlotBand> band;
};

struct Plot {
  std::string id, title, description;
  double width = 800, height = 440;  // without the legend, which adds lines at the top
  PlotAxis x, y;
  std::vector<PlotSeries> series;  // later ones are drawn over earlier ones
};

std::string draw_plot(const Plot& plot);

}  // namespace weft
