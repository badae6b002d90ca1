#include "weft/scaling/svg.h"

#include <limits>

#include <gtest/gtest.h>

#include "weft/scaling/colours.h"
#include "weft/scaling/svg_bars.h"
#include "weft/scaling/svg_plot.h"

#include "well_formed.h"

namespace weft {
namespace {

const std::string wild = "a <kite> & \"the\" sea, it's 红色的风筝 ]]> <!--";

TEST(XmlEscape, KeepsWhatATextSays) {
  EXPECT_EQ(xml_escape("a < b & c > \"d\" 'e'"), "a &lt; b &amp; c &gt; &quot;d&quot; &#39;e&#39;");
  EXPECT_EQ(xml_escape("红色的风筝 🪁"), "红色的风筝 🪁");
  EXPECT_EQ(xml_escape("tab\tline\n"), "tab\tline\n");
}

TEST(XmlEscape, ReplacesWhatXmlCannotHold) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(xml_escape(std::string("a\0b\x1B[0m", 7)), "a" + bad + "b" + bad + "[0m");
  EXPECT_EQ(xml_escape("\xC3("), bad + "(");               // a lead byte without its second
  EXPECT_EQ(xml_escape("\xED\xA0\x80"), bad + bad + bad);  // half of a surrogate pair
  EXPECT_EQ(xml_escape("\xF0\x9F\xAA"), bad + bad + bad);  // ends too early
  EXPECT_EQ(xml_escape("\xEF\xBF\xBE"), bad);              // U+FFFE
}

TEST(TextWidth, CountsChineseAsWide) {
  EXPECT_DOUBLE_EQ(text_width("红色", 10), 20);
  EXPECT_LT(text_width("il", 10), text_width("MW", 10));
}

TEST(Shortened, EndsWithAnEllipsisAndWholeCharacters) {
  EXPECT_EQ(shortened("kite", 10, 100), "kite");
  EXPECT_EQ(shortened("红色的风筝", 10, 31), "红色…");
}

TEST(Svg, IsWellFormedWhateverTheTexts) {
  Svg svg("figure", wild, wild, 100, 50);
  svg.rect(0, 0, 10, 10, ink_colour(), wild);
  svg.ring({5, 5}, 3, ink_colour(), wild);
  svg.begin_clip(0, 0, 100, 50);
  svg.polyline({{0, 0}, {1, 1}}, ink_colour(), 1, Dash::dotted);
  svg.area({{0, 0}, {1, 1}, {2, 0}}, ink_colour(), 0.2);
  svg.end_clip();
  svg.text({5, 5}, wild, ink_colour(), {.upright = false});
  const test::WellFormed checked(svg.str());
  EXPECT_EQ(checked.problem(), "");
  EXPECT_NE(checked.words().find(wild), std::string::npos);
}

TEST(Svg, NeverHoldsANumberThatIsNone) {
  Svg svg("figure", "t", "d", 100, 50);
  svg.dot({std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}, 3,
          ink_colour());
  EXPECT_EQ(svg.str().find("nan"), std::string::npos);
  EXPECT_EQ(svg.str().find("inf"), std::string::npos);
}

Plot made_plot() {
  Plot plot{.id = "plot",
            .title = wild,
            .description = wild,
            .x = {"ranks", AxisScale::log2, 1, 16, TickFormat::number},
            .y = {"speed-up", AxisScale::log2, 1, 16, TickFormat::number},
            .series = {}};
  plot.series.push_back({.name = wild,
                         .colour = ink_colour(),
                         .points = {{1, 1, wild}, {4, 2, ""}, {16, 99, "outside"}},
                         .mark = Mark::dot,
                         .band = {{1, 1, 1}, {4, 1.5, 2.5}}});
  return plot;
}

/// The value of `attribute` in the first element that begins with `element`.
double number_in(const std::string& svg, const std::string& element, const std::string& attribute) {
  const auto at = svg.find(" " + attribute + "=\"", svg.find(element));
  return std::stod(svg.substr(at + attribute.size() + 3));
}

TEST(DrawPlot, PutsPointsWhereTheAxesSay) {
  const std::string svg = draw_plot(made_plot());
  EXPECT_EQ(test::WellFormed(svg).problem(), "");
  // The area reaches from the first tick (1) to the last (16): the dot at (1, 1) is its corner,
  // below the legend's own dot, which comes first.
  const auto dots = svg.find("<circle", svg.find("</g>"));
  const std::string marks = svg.substr(dots);
  const double left = number_in(marks, "<circle", "cx"), low = number_in(marks, "<circle", "cy");
  const std::string second = marks.substr(marks.find("<circle", 10));
  const auto clip = svg.substr(svg.find("<clipPath"));
  EXPECT_NEAR(left, number_in(clip, "<rect", "x"), 0.02);
  EXPECT_NEAR(low, number_in(clip, "<rect", "y") + number_in(clip, "<rect", "height"), 0.02);
  // 4 is half way from 1 to 16, 2 a quarter.
  EXPECT_NEAR(number_in(second, "<circle", "cx"), left + number_in(clip, "<rect", "width") / 2,
              0.02);
  EXPECT_NEAR(number_in(second, "<circle", "cy"), low - number_in(clip, "<rect", "height") / 4,
              0.02);
}

TEST(DrawPlot, LeavesOutMarksBeyondTheAxes) {
  EXPECT_EQ(draw_plot(made_plot()).find("outside"), std::string::npos);
}

TEST(DrawBars, AreInProportionAndWellFormed) {
  Bars bars{.id = "bars",
            .title = wild,
            .description = "",
            .axis_title = "s",
            .row_title = "rank",
            .legend = {{wild, ink_colour()}, {"b", grid_colour()}},
            .rows = {}};
  bars.rows.push_back(
      {wild, {{ink_colour(), 0, 3, "first", "3"}, {grid_colour(), 3, 4, "second", "1"}}, "4 s"});
  const std::string svg = draw_bars(bars);
  EXPECT_EQ(test::WellFormed(svg).problem(), "");
  const auto width_before = [&](const char* hint) {
    const auto at = svg.rfind("<rect", svg.find(hint));
    return number_in(svg.substr(at), "<rect", "width");
  };
  EXPECT_NEAR(width_before("<title>first"), 3 * width_before("<title>second"), 0.05);
}

TEST(DrawBars, ManyRowsAreLabelledNowAndThen) {
  Bars bars{.id = "bars",
            .title = "",
            .description = "",
            .axis_title = "s",
            .row_title = "rank",
            .legend = {{wild, ink_colour()}, {"b", grid_colour()}},
            .rows = {}};
  for (int i = 0; i < 512; ++i) {
    bars.rows.push_back({std::to_string(i), {{ink_colour(), 0, 1, "", ""}}, ""});
  }
  const test::WellFormed checked(draw_bars(bars));
  EXPECT_EQ(checked.problem(), "");
  EXPECT_LT(checked.count("text"), 40U);
}

}  // namespace
}  // namespace weft
