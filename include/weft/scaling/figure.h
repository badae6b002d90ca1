#pragma once
// What a report is made of, before it becomes a page: tables whose cells keep the numbers in full,
// drawings, notes.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft {

/// Nothing, text, or a number with the digits that a reader wants of it.
struct Cell {
  Cell() = default;
  Cell(std::string text) : value(std::move(text)) {}
  Cell(const char* text) : value(std::string(text)) {}
  Cell(std::int64_t integer) : value(integer) {}
  Cell(int integer) : value(std::int64_t{integer}) {}
  /// `shown`: significant digits for the reader; in a CSV file stands the number in full.
  Cell(double number, int shown = 4) : value(number), digits(shown) {}
  /// Seconds to milliseconds, so that a column of them lines up.
  static Cell seconds(double number) { return {number, -3}; }
  Cell(const std::optional<double>& number, int shown = 4) : digits(shown) {
    if (number) value = *number;
  }

  std::variant<std::monostate, std::string, std::int64_t, double> value;
  int digits = 4;  // negative: so many behind the point
};

struct Table {
  std::string id;  // names its CSV file
  std::string title;
  std::vector<std::string> columns;  // with units
  std::vector<std::vector<Cell>> rows;
};

/// The table less the columns in which no cell holds anything.
Table without_empty_columns(const Table& table);

/// A number for a reader: `digits` significant ones, none lost before the point ("12345", "0.0123",
/// "2.0"), or -`digits` behind the point; "–" for NaN, "∞".
std::string number_text(double value, int digits);
std::string cell_text(const Cell& cell);

/// RFC 4180: the columns, then the rows; numbers as short as they read back exactly, infinite and
/// undefined ones as inf and nan.
std::string csv_text(const Table& table);

struct Figure {
  std::string id;     // names its SVG file
  std::string title;  // what it shows, in a line
  std::string svg;
  std::string caption;  // how to read it
};

struct Note {
  std::string text;
};

/// A line of pictures of a clip, each a PNG as a data URI.
struct FrameStrip {
  std::string title;
  struct Picture {
    std::string data_uri, text;  // text: also for who cannot see it
    std::int64_t width, height;
  };
  std::vector<Picture> pictures;
};

using Block = std::variant<Figure, Table, Note, FrameStrip>;

struct Section {
  std::string id, title;
  std::vector<Block> blocks;
};

struct Report {
  std::string title, subtitle;
  struct Fact {
    std::string name, value;
    bool code = false;
  };
  struct Highlight {
    std::string value, name, detail;
  };
  std::vector<Highlight> highlights;  // the figures to remember
  std::vector<Fact> facts;            // what was run, on what, how to repeat it
  std::vector<std::string> warnings;
  std::vector<Section> sections;
};

/// One HTML page: everything in it, no script, no network.
std::string html_page(const Report& report);

}  // namespace weft
