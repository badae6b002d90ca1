#pragma once
// Drawings for the report: SVG as text, complete by itself (for papers) and the same inside the
// page, where style sheets override the colours that are written here as attributes.

#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// A colour by name: class "f-NAME" for what is filled and "s-NAME" for what is stroked, so that a
/// page can have its own for dark screens; `light` is written into the drawing.
struct Colour {
  const char* name;
  const char* light;  // "#rrggbb", on white
  const char* dark;   // on a dark screen
};

/// Text for XML and HTML, in elements and in attributes: markup characters escaped, bytes that are
/// no UTF-8 and characters that XML forbids replaced by U+FFFD.
std::string xml_escape(std::string_view text);

/// Width that a line of text takes, estimated for a common sans-serif font: pixels.
double text_width(std::string_view text, double font_size);
/// The text if it fits, else its beginning and "…".
std::string shortened(const std::string& text, double font_size, double most_width);

enum class Anchor { start, middle, end };
enum class Dash { solid, dashed, dotted };

struct SvgText {
  double size = 14;
  Anchor anchor = Anchor::start;
  bool bold = false;
  bool upright = true;  // false: turned by a quarter, reading upwards
};

struct SvgPoint {
  double x, y;
};

/// One drawing. Coordinates are pixels from the upper left corner.
class Svg {
 public:
  /// `id` must be unique in a page. Title and description are what a screen reader tells.
  Svg(std::string id, const std::string& title, const std::string& description, double width,
      double height);

  // `hint`: shown when the pointer rests on the element.
  void rect(double x, double y, double width, double height, const Colour& fill,
            const std::string& hint = "");
  void line(SvgPoint from, SvgPoint to, const Colour& stroke, double width,
            Dash dash = Dash::solid);
  void polyline(const std::vector<SvgPoint>& points, const Colour& stroke, double width,
                Dash dash = Dash::solid);
  void area(const std::vector<SvgPoint>& outline, const Colour& fill, double opacity);
  void dot(SvgPoint at, double radius, const Colour& fill, const std::string& hint = "");
  void ring(SvgPoint at, double radius, const Colour& stroke, const std::string& hint = "");
  void text(SvgPoint at, const std::string& text, const Colour& fill, const SvgText& style = {});
  /// Nothing outside of the box is shown until end_clip().
  void begin_clip(double x, double y, double width, double height);
  void end_clip();

  [[nodiscard]] std::string str() const;

 private:
  std::string id_, head_, body_;
  int clips_ = 0;
};

}  // namespace weft
