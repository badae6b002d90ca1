#include "weft/scaling/svg.h"

#include <cmath>

#include <fmt/format.h>
#include <utf8proc.h>

#include "weft/scaling/colours.h"

namespace weft {
namespace {

constexpr const char* replacement = "\xEF\xBF\xBD";  // U+FFFD

bool allowed_in_xml(utf8proc_int32_t c) {
  return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0xFFFE && c != 0xFFFF);
}

/// Calls f(code point, its bytes); a byte that begins no valid character comes as -1.
template <class F>
void for_each_character(std::string_view text, F&& f) {
  while (!text.empty()) {
    utf8proc_int32_t c = -1;
    const auto used = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &c);
    const auto size = used > 0 ? static_cast<std::size_t>(used) : 1;
    f(used > 0 ? c : -1, text.substr(0, size));
    text.remove_prefix(size);
  }
}

double character_width(utf8proc_int32_t c) {
  if (c < 0 || utf8proc_charwidth(c) > 1) return 1.0;
  if (c == ' ' || c == '.' || c == ',' || c == 'i' || c == 'l' || c == 'j') return 0.32;
  if (c == 'm' || c == 'w' || c == 'M' || c == 'W') return 0.88;
  if (c >= 'A' && c <= 'Z') return 0.7;
  return 0.61;
}

/// Hundredths of a pixel are enough; "12.50" is written "12.5".
std::string number(double value) {
  std::string text = fmt::format("{:.2f}", std::isfinite(value) ? value : 0.0);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string fill_of(const Colour& c) {
  return fmt::format(R"(class="f-{}" fill="{}")", c.name, c.light);
}

std::string stroke_of(const Colour& c, double width, Dash dash) {
  const char* pattern = dash == Dash::dashed   ? R"( stroke-dasharray="7 4")"
                        : dash == Dash::dotted ? R"( stroke-dasharray="1.5 4")"
                                               : "";
  return fmt::format(
      R"(class="s-{}" stroke="{}" stroke-width="{}" stroke-linecap="{}"{} fill="none")", c.name,
      c.light, number(width), dash == Dash::dotted ? "round" : "butt", pattern);
}

std::string coordinates(const std::vector<SvgPoint>& points) {
  std::string text;
  for (const SvgPoint& p : points) {
    text += fmt::format("{}{},{}", text.empty() ? "" : " ", number(p.x), number(p.y));
  }
  return text;
}

std::string closed(const char* element, const std::string& hint) {
  if (hint.empty()) return "/>\n";
  return fmt::format("><title>{}</title></{}>\n", xml_escape(hint), element);
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string made;
  for_each_character(text, [&](utf8proc_int32_t c, std::string_view bytes) {
    switch (c) {
      case '&':
        made += "&amp;";
        break;
      case '<':
        made += "&lt;";
        break;
      case '>':
        made += "&gt;";
        break;
      case '"':
        made += "&quot;";
        break;
      case '\'':
        made += "&#39;";
        break;
      default:
        if (c >= 0 && allowed_in_xml(c)) {
          made += bytes;
        } else {
          made += replacement;
        }
    }
  });
  return made;
}

double text_width(std::string_view text, double font_size) {
  double width = 0;
  for_each_character(
      text, [&](utf8proc_int32_t c, std::string_view) { width += character_width(c) * font_size; });
  return width;
}

std::string shortened(const std::string& text, double font_size, double most_width) {
  if (text_width(text, font_size) <= most_width) return text;
  std::string made;
  double width = font_size;  // of the ellipsis
  bool full = false;
  for_each_character(text, [&](utf8proc_int32_t c, std::string_view bytes) {
    width += character_width(c) * font_size;
    full = full || width > most_width;
    if (!full) made += bytes;
  });
  return made + "…";
}

Svg::Svg(std::string id, const std::string& title, const std::string& description, double width,
         double height)
    : id_(std::move(id)) {
  head_ = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" )"
      R"(role="img" aria-labelledby="{2}-title {2}-description" font-family="sans-serif">)"
      "\n<title id=\"{2}-title\">{3}</title>\n<desc id=\"{2}-description\">{4}</desc>\n"
      R"(<rect width="{0}" height="{1}" {5}/>)"
      "\n",
      number(width), number(height), id_, xml_escape(title), xml_escape(description),
      fill_of(paper_colour()));
}

void Svg::rect(double x, double y, double width, double height, const Colour& fill,
               const std::string& hint) {
  body_ += fmt::format(R"(<rect x="{}" y="{}" width="{}" height="{}" {})", number(x), number(y),
                       number(width), number(height), fill_of(fill)) +
           closed("rect", hint);
}

void Svg::line(SvgPoint from, SvgPoint to, const Colour& stroke, double width, Dash dash) {
  body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>\n", number(from.x),
                       number(from.y), number(to.x), number(to.y), stroke_of(stroke, width, dash));
}

void Svg::polyline(const std::vector<SvgPoint>& points, const Colour& stroke, double width,
                   Dash dash) {
  body_ += fmt::format("<polyline points=\"{}\" stroke-linejoin=\"round\" {}/>\n",
                       coordinates(points), stroke_of(stroke, width, dash));
}

void Svg::area(const std::vector<SvgPoint>& outline, const Colour& fill, double opacity) {
  body_ += fmt::format("<polygon points=\"{}\" {} fill-opacity=\"{}\"/>\n", coordinates(outline),
                       fill_of(fill), number(opacity));
}

void Svg::dot(SvgPoint at, double radius, const Colour& fill, const std::string& hint) {
  body_ += fmt::format(R"(<circle cx="{}" cy="{}" r="{}" {})", number(at.x), number(at.y),
                       number(radius), fill_of(fill)) +
           closed("circle", hint);
}

void Svg::ring(SvgPoint at, double radius, const Colour& stroke, const std::string& hint) {
  // The fill keeps lines out of the ring, and makes all of it a target for the pointer.
  const Colour& paper = paper_colour();
  body_ += fmt::format(
               R"(<circle cx="{}" cy="{}" r="{}" class="s-{} f-{}" stroke="{}" stroke-width="1.6" )"
               R"(fill="{}")",
               number(at.x), number(at.y), number(radius), stroke.name, paper.name, stroke.light,
               paper.light) +
           closed("circle", hint);
}

void Svg::text(SvgPoint at, const std::string& text, const Colour& fill, const SvgText& style) {
  const char* anchor = style.anchor == Anchor::start    ? ""
                       : style.anchor == Anchor::middle ? R"( text-anchor="middle")"
                                                        : R"( text-anchor="end")";
  std::string turn;
  if (!style.upright) {
    turn = fmt::format(" transform=\"rotate(-90 {} {})\"", number(at.x), number(at.y));
  }
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"{}\"{}{}{} {}>{}</text>\n",
                       number(at.x), number(at.y), number(style.size), anchor,
                       style.bold ? R"( font-weight="bold")" : "", turn, fill_of(fill),
                       xml_escape(text));
}

void Svg::begin_clip(double x, double y, double width, double height) {
  const std::string clip = fmt::format("{}-clip{}", id_, ++clips_);
  body_ += fmt::format(
      "<clipPath id=\"{0}\"><rect x=\"{1}\" y=\"{2}\" width=\"{3}\" height=\"{4}\"/></clipPath>\n"
      "<g clip-path=\"url(#{0})\">\n",
      clip, number(x), number(y), number(width), number(height));
}

void Svg::end_clip() { body_ += "</g>\n"; }

std::string Svg::str() const { return head_ + body_ + "</svg>\n"; }

}  // namespace weft
