#include "weft/scaling/figure.h"

#include <limits>

#include <gtest/gtest.h>

#include "well_formed.h"

namespace weft {
namespace {

TEST(NumberText, HasTheDigitsAskedForAndLosesNoneBeforeThePoint) {
  EXPECT_EQ(number_text(1.23456, 3), "1.23");
  EXPECT_EQ(number_text(12345.6, 3), "12346");
  EXPECT_EQ(number_text(0.0123456, 3), "0.0123");
  EXPECT_EQ(number_text(2, 3), "2.00");
  EXPECT_EQ(number_text(9.999, 3), "10.0");
  EXPECT_EQ(number_text(0, 3), "0");
  EXPECT_EQ(number_text(1.5e-7, 2), "1.5e-07");
  EXPECT_EQ(number_text(12.34567, -3), "12.346");
  EXPECT_EQ(number_text(0.00012, -3), "0.000");
  EXPECT_EQ(number_text(std::numeric_limits<double>::infinity(), 3), "∞");
  EXPECT_EQ(number_text(std::numeric_limits<double>::quiet_NaN(), 3), "–");
}

TEST(CsvText, QuotesWhatMustBeAndKeepsNumbersInFull) {
  const Table table{
      "t",
      "T",
      {"name", "value, s", "count"},
      {{"plain", {0.1 + 0.2, 2}, 3}, {"a \"quoted\", 红\nline", Cell(), std::int64_t{1} << 60}}};
  EXPECT_EQ(csv_text(table),
            "name,\"value, s\",count\r\n"
            "plain,0.30000000000000004,3\r\n"
            "\"a \"\"quoted\"\", 红\nline\",,1152921504606846976\r\n");
}

TEST(HtmlPage, IsWellFormedAndNeedsNothingElse) {
  const std::string wild = "</title><script>alert('x')</script> & \"红\"";
  Report report;
  report.title = report.subtitle = wild;
  report.highlights = {{wild, wild, wild}};
  report.facts = {{wild, wild, true}};
  report.warnings = {wild};
  report.sections = {
      {"one", wild, {Note{wild}, Table{"t", wild, {wild}, {{wild}}}}},
      {"two", "frames", {FrameStrip{wild, {{"data:image/png;base64,AAAA", wild, 8, 8}}}}}};
  const std::string page = html_page(report);
  const test::WellFormed checked(page);
  EXPECT_EQ(checked.problem(), "");
  EXPECT_EQ(checked.count("script"), 0U);
  EXPECT_NE(checked.words().find(wild), std::string::npos);
  for (const char* outside : {"http:", "https:", "url(", "@import", "src=\"/", "href=\"/"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
}

TEST(HtmlPage, LongTablesScrollOnTheScreen) {
  Report report;
  Table table{"t", "T", {"n"}, {}};
  for (int i = 0; i < 40; ++i) table.rows.push_back({i});
  report.sections = {{"s", "S", {table}}};
  EXPECT_NE(html_page(report).find("class=\"table long\""), std::string::npos);
}

}  // namespace
}  // namespace weft
