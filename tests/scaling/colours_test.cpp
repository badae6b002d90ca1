#include "weft/scaling/colours.h"

#include <array>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

namespace weft {
namespace {

using Rgb = std::array<double, 3>;  // linear light
using Matrix = std::array<Rgb, 3>;

// How a colour looks to those who lack a kind of cones: Machado, Oliveira and Fernandes, "A
// physiologically-based model for simulation of color vision deficiency" (2009), severity 1.
constexpr Matrix normal{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
constexpr Matrix protan{{{0.152286, 1.052583, -0.204868},
                         {0.114503, 0.786281, 0.099216},
                         {-0.003882, -0.048116, 1.051998}}};
constexpr Matrix deutan{{{0.367322, 0.860646, -0.227968},
                         {0.280085, 0.672501, 0.047413},
                         {-0.011820, 0.042940, 0.968881}}};

Rgb linear(const std::string& hex) {
  Rgb rgb{};
  for (std::size_t i = 0; i < 3; ++i) {
    const double c = std::stoi(hex.substr(1 + 2 * i, 2), nullptr, 16) / 255.0;
    rgb[i] = c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  }
  return rgb;
}

Rgb times(const Matrix& m, const Rgb& v) {
  Rgb made{};
  for (std::size_t i = 0; i < 3; ++i) {
    made[i] = std::max(0.0, m[i][0] * v[0] + m[i][1] * v[1] + m[i][2] * v[2]);
  }
  return made;
}

/// CIE L*a*b* under D65.
Rgb lab(const Rgb& rgb) {
  constexpr Matrix to_xyz{
      {{0.4124, 0.3576, 0.1805}, {0.2126, 0.7152, 0.0722}, {0.0193, 0.1192, 0.9505}}};
  const Rgb xyz = times(to_xyz, rgb);
  const auto f = [](double t) { return t > 0.008856 ? std::cbrt(t) : 7.787 * t + 16.0 / 116; };
  const double x = f(xyz[0] / 0.9505), y = f(xyz[1]), z = f(xyz[2] / 1.089);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

double difference(const std::string& a, const std::string& b, const Matrix& eye) {
  const Rgb x = lab(times(eye, linear(a))), y = lab(times(eye, linear(b)));
  return std::hypot(x[0] - y[0], x[1] - y[1], x[2] - y[2]);
}

double contrast(const std::string& a, const std::string& b) {
  const auto luminance = [](const Rgb& c) { return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
  const double x = luminance(linear(a)) + 0.05, y = luminance(linear(b)) + 0.05;
  return std::max(x, y) / std::min(x, y);
}

// 10 in L*a*b* is seen at a glance when two areas are side by side; 2 is just noticed.
TEST(StageColours, AreToldApartByEveryKindOfEyes) {
  for (int i = 0; i < stage_count; ++i) {
    for (int k = 0; k < i; ++k) {
      const Colour& a = stage_colour(static_cast<Stage>(i));
      const Colour& b = stage_colour(static_cast<Stage>(k));
      for (const Matrix& eye : {normal, protan, deutan}) {
        EXPECT_GT(difference(a.light, b.light, eye), 10) << a.name << " and " << b.name;
        EXPECT_GT(difference(a.dark, b.dark, eye), 10) << a.name << " and " << b.name << ", dark";
      }
    }
  }
}

TEST(Colours, TextReadsOnThePageAndOnEveryStage) {
  // 4.5: what WCAG 2 asks of text of ordinary size.
  for (const Colour& ink : {ink_colour(), soft_ink_colour()}) {
    EXPECT_GE(contrast(ink.light, paper_colour().light), 4.5) << ink.name;
    EXPECT_GE(contrast(ink.dark, paper_colour().dark), 4.5) << ink.name << ", dark";
  }
  for (int i = 0; i < stage_count; ++i) {
    const Colour& fill = stage_colour(static_cast<Stage>(i));
    EXPECT_GE(contrast(on_colour(fill).light, fill.light), 4.2) << fill.name;
    EXPECT_GE(contrast(on_colour(fill).dark, fill.dark), 4.2) << fill.name << ", dark";
  }
}

TEST(Colours, StyleSheetDefinesWhatItUses) {
  const std::string rules = colour_rules();
  for (const std::string& set : {colour_variables_light(), colour_variables_dark()}) {
    for (std::size_t at = rules.find("var("); at != std::string::npos;
         at = rules.find("var(", at + 1)) {
      const std::string name = rules.substr(at + 4, rules.find(')', at) - at - 4);
      EXPECT_NE(set.find(name + ":#"), std::string::npos) << name;
    }
  }
}

}  // namespace
}  // namespace weft
