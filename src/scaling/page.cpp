// Receives a report, hands back the page.
#include <algorithm>

#include <fmt/format.h>

#include "weft/scaling/figure.h"
#include "weft/scaling/svg.h"

#include "page_style.h"

namespace weft {
namespace {

/// Beyond so many rows a table scrolls on the screen; on paper it is whole.
constexpr std::size_t most_rows = 16;
/// Bytes of a cell that stays on one line.
constexpr std::size_t most_unbroken = 40;

bool is_number(const Cell& cell) {
  return std::holds_alternative<double>(cell.value) ||
         std::holds_alternative<std::int64_t>(cell.value);
}

std::string html_table(const Table& table) {
  const std::size_t columns = table.columns.size();
  std::vector<bool> numbers(columns, true);
  for (const auto& row : table.rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      numbers[c] = numbers[c] && !std::holds_alternative<std::string>(row[c].value);
    }
  }
  std::string html = fmt::format(
      "<div class=\"table{}\" tabindex=\"0\" role=\"region\" aria-labelledby=\"table-{}\">\n"
      "<table><caption id=\"table-{}\">{}</caption>\n<thead><tr>",
      table.rows.size() > most_rows ? " long" : "", table.id, table.id, xml_escape(table.title));
  for (std::size_t c = 0; c < columns; ++c) {
    html += fmt::format("<th scope=\"col\"{}>{}</th>", numbers[c] ? " class=\"n\"" : "",
                        xml_escape(table.columns[c]));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string text = cell_text(row[c]);
      const bool breaks = text.size() > most_unbroken;
      const char* kind = is_number(row[c]) ? " class=\"n\"" : breaks ? " class=\"long\"" : "";
      html += fmt::format("<td{}>{}</td>", kind, xml_escape(text));
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string html_figure(const Figure& figure) {
  return fmt::format(
      "<figure id=\"{}\">\n<figcaption><strong>{}</strong> {}</figcaption>\n{}</figure>\n",
      figure.id, xml_escape(figure.title), xml_escape(figure.caption), figure.svg);
}

std::string html_strip(const FrameStrip& strip) {
  std::string html =
      fmt::format("<figure class=\"strip\">\n<figcaption><strong>{}</strong></figcaption>\n<div>\n",
                  xml_escape(strip.title));
  for (const FrameStrip::Picture& p : strip.pictures) {
    html += fmt::format(
        "<span><img src=\"{}\" alt=\"{}\" width=\"{}\" height=\"{}\"/><small>{}</small></span>\n",
        p.data_uri, xml_escape(strip.title + ", " + p.text), p.width, p.height, xml_escape(p.text));
  }
  return html + "</div>\n</figure>\n";
}

struct HtmlOf {
  std::string operator()(const Figure& f) const { return html_figure(f); }
  std::string operator()(const Table& t) const { return html_table(t); }
  std::string operator()(const FrameStrip& s) const { return html_strip(s); }
  std::string operator()(const Note& n) const {
    return fmt::format("<p class=\"note\">{}</p>\n", xml_escape(n.text));
  }
};

std::string html_head(const Report& report) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
      // The page asks for nothing from outside, and could not.
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "img-src data:; style-src 'unsafe-inline'\"/>\n"
      "<link rel=\"icon\" href=\"data:,\"/>\n"  // or browsers ask for /favicon.ico
      "<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
      xml_escape(report.title), page_style());
}

std::string html_header(const Report& report) {
  std::string html = fmt::format("<header>\n<h1>{}</h1>\n<p class=\"subtitle\">{}</p>\n",
                                 xml_escape(report.title), xml_escape(report.subtitle));
  if (!report.highlights.empty()) {
    html += "<ul class=\"highlights\">\n";
    for (const Report::Highlight& h : report.highlights) {
      html += fmt::format("<li><b>{}</b><span>{}</span><small>{}</small></li>\n",
                          xml_escape(h.value), xml_escape(h.name), xml_escape(h.detail));
    }
    html += "</ul>\n";
  }
  html += "<dl class=\"facts\">\n";
  for (const Report::Fact& f : report.facts) {
    const char* tag = f.code ? "code" : "span";
    html += fmt::format("<dt>{}</dt><dd><{}>{}</{}></dd>\n", xml_escape(f.name), tag,
                        xml_escape(f.value), tag);
  }
  html += "</dl>\n";
  if (!report.warnings.empty()) {
    html += "<section class=\"warnings\" aria-label=\"Warnings\">\n<h2>Warnings</h2>\n<ul>\n";
    for (const std::string& w : report.warnings) html += "<li>" + xml_escape(w) + "</li>\n";
    html += "</ul>\n</section>\n";
  }
  return html + "</header>\n";
}

}  // namespace

std::string html_page(const Report& report) {
  std::string html = html_head(report) + html_header(report);
  if (report.sections.size() > 1) {
    html += "<nav aria-label=\"Sections\"><ul>\n";
    for (const Section& s : report.sections) {
      html += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", s.id, xml_escape(s.title));
    }
    html += "</ul></nav>\n";
  }
  html += "<main>\n";
  for (const Section& s : report.sections) {
    html += fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n", s.id, xml_escape(s.title));
    for (const Block& block : s.blocks) html += std::visit(HtmlOf{}, block);
    html += "</section>\n";
  }
  return html + "</main>\n<footer>weft " WEFT_VERSION "</footer>\n</body>\n</html>\n";
}

}  // namespace weft
