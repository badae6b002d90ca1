#pragma once
// Rows along one axis: stacked bars, and the timeline of ranks.

#include <string>
#include <utility>
#include <vector>

#include "weft/scaling/svg.h"

namespace weft {

struct BarPart {
  Colour colour;
  double begin, end;  // along the axis
  std::string hint;   // "" for none
  std::string label;  // written inside where it fits
};

struct BarRow {
  std::string label;
  std::vector<BarPart> parts;  // later ones are drawn over earlier ones
  std::string end_label;       // behind the last part
};

struct Bars {
  std::string id, title, description;
  double width = 800;
  std::string axis_title;  // with its unit; the axis begins at 0
  std::string row_title;   // what the labels of rows count: "rank"; "" when they say it themselves
  std::vector<std::pair<std::string, Colour>> legend;
  std::vector<BarRow> rows;
};

/// Rows get lower as they become more; beyond 24 not every row is labelled.
std::string draw_bars(const Bars& bars);

}  // namespace weft
