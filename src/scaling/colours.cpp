#include "weft/scaling/colours.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace weft {
namespace {

constexpr std::array<Colour, stage_count> stages{{
    {"load", "#343c46", "#b9c2cd"},
    {"encode-text", "#56b4e9", "#56b4e9"},
    {"encode-image", "#f0e442", "#f0e442"},
    {"denoise", "#0072b2", "#1f7fc4"},
    {"exchange", "#d55e00", "#e06a10"},
    {"decode", "#009e73", "#12a97f"},
    {"gather", "#e69f00", "#e69f00"},
    {"blend", "#7a4a1e", "#7d4f22"},
    {"encode-video", "#cc79a7", "#cc79a7"},
    {"wait", "#c3c9d1", "#4d5663"},
}};
constexpr Colour other{"other", "#dde1e6", "#3a424d"};
constexpr Colour idle{"idle", "#eef0f2", "#282f38"};
constexpr Colour whole{"whole", "#1c2128", "#e8ebef"};
constexpr std::array<Colour, 3> laws{{
    {"law-1", "#6a3d9a", "#b79ae0"},
    {"law-2", "#8a7f95", "#9a90a6"},
    {"law-3", "#a8741a", "#c99a4a"},
}};
constexpr std::array<Colour, 6> counts{{
    {"ranks-1", "#c9b3e6", "#5c4580"},
    {"ranks-2", "#ac8bd6", "#73579e"},
    {"ranks-3", "#9069c2", "#8c6dba"},
    {"ranks-4", "#744aab", "#a685d3"},
    {"ranks-5", "#5a308d", "#c1a4e6"},
    {"ranks-6", "#3f1c69", "#dccbf5"},
}};
constexpr Colour paper{"paper", "#ffffff", "#161a20"};
constexpr Colour ink{"ink", "#1c2128", "#e8ebef"};
constexpr Colour soft_ink{"soft", "#58616d", "#a4adb8"};
constexpr Colour grid{"grid", "#dfe3e8", "#2e353f"};
// Text on a fill: black or white on the light set's, black or white on the dark set's.
constexpr const char* white = "#ffffff";
constexpr const char* black = "#101418";
constexpr std::array<Colour, 4> on{{
    {"on-bb", black, black},
    {"on-bw", black, white},
    {"on-wb", white, black},
    {"on-ww", white, white},
}};

std::vector<Colour> all_colours() {
  std::vector<Colour> all{other, idle, whole, paper, ink, soft_ink, grid};
  all.insert(all.end(), on.begin(), on.end());
  all.insert(all.end(), stages.begin(), stages.end());
  all.insert(all.end(), laws.begin(), laws.end());
  all.insert(all.end(), counts.begin(), counts.end());
  return all;
}

/// Relative luminance as WCAG 2 defines it, of "#rrggbb".
double luminance(const char* rgb) {
  const auto linear = [&](std::size_t at) {
    const double c = std::stoi(std::string(rgb).substr(at, 2), nullptr, 16) / 255.0;
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5);
}

/// Contrast against white is 1.05 / (L + 0.05), against black about (L + 0.05) / 0.057.
bool wants_white(const char* rgb) { return luminance(rgb) + 0.05 < std::sqrt(1.05 * 0.057); }

}  // namespace

const Colour& stage_colour(Stage stage) { return stages[static_cast<std::size_t>(stage)]; }
const Colour& other_colour() { return other; }
const Colour& idle_colour() { return idle; }
const Colour& whole_colour() { return whole; }
const Colour& law_colour(std::size_t place) { return laws[std::min(place, laws.size() - 1)]; }

const Colour& ranks_colour(std::size_t place, std::size_t count) {
  const std::size_t last = counts.size() - 1;
  if (count < 2) return counts[last - 2];
  return counts[std::min(last, place * last / (count - 1))];
}

const Colour& paper_colour() { return paper; }
const Colour& ink_colour() { return ink; }
const Colour& soft_ink_colour() { return soft_ink; }
const Colour& grid_colour() { return grid; }

const Colour& on_colour(const Colour& fill) {
  return on[(wants_white(fill.light) ? 2U : 0U) + (wants_white(fill.dark) ? 1U : 0U)];
}

std::string colour_variables_light() {
  std::string css;
  for (const Colour& c : all_colours()) css += fmt::format("--{}:{};", c.name, c.light);
  return css;
}

std::string colour_variables_dark() {
  std::string css;
  for (const Colour& c : all_colours()) css += fmt::format("--{}:{};", c.name, c.dark);
  return css;
}

std::string colour_rules() {
  std::string css;
  for (const Colour& c : all_colours()) {
    css += fmt::format(".f-{0}{{fill:var(--{0})}}.s-{0}{{stroke:var(--{0})}}\n", c.name);
  }
  return css;
}

}  // namespace weft
