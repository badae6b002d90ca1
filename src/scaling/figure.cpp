#include "weft/scaling/figure.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace weft {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string made = "\"";
  for (const char c : text) made += c == '"' ? std::string("\"\"") : std::string(1, c);
  return made + '"';
}

std::string csv_cell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell.value)) return csv_field(*text);
  if (const auto* integer = std::get_if<std::int64_t>(&cell.value)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&cell.value)) return fmt::format("{}", *number);
  return "";
}

bool is_empty(const Cell& cell) {
  const auto* text = std::get_if<std::string>(&cell.value);
  return std::holds_alternative<std::monostate>(cell.value) || (text != nullptr && text->empty());
}

}  // namespace

Table without_empty_columns(const Table& table) {
  Table made{table.id, table.title, {}, {}};
  made.rows.resize(table.rows.size());
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const auto lacks = [&](const std::vector<Cell>& row) { return is_empty(row[c]); };
    if (std::ranges::all_of(table.rows, lacks)) continue;
    made.columns.push_back(table.columns[c]);
    for (std::size_t r = 0; r < table.rows.size(); ++r) made.rows[r].push_back(table.rows[r][c]);
  }
  return made;
}

std::string number_text(double value, int digits) {
  if (std::isnan(value)) return "–";
  if (std::isinf(value)) return value > 0 ? "∞" : "−∞";
  if (value == 0) return "0";
  if (digits < 0) return fmt::format("{:.{}f}", value, -digits);
  const double size = std::abs(value);
  const std::string scientific = fmt::format("{:.{}e}", value, digits - 1);
  if (size < 1e-4 || size >= 1e9) return scientific;
  // Of the rounded value: 9.999 has two digits before the point when three are wanted.
  const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
  return fmt::format("{:.{}f}", value, std::max(0, digits - 1 - exponent));
}

std::string cell_text(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell.value)) return *text;
  if (const auto* integer = std::get_if<std::int64_t>(&cell.value)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&cell.value)) {
    return number_text(*number, cell.digits);
  }
  return "";
}

std::string csv_text(const Table& table) {
  std::string made;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    made += (c == 0 ? "" : ",") + csv_field(table.columns[c]);
  }
  made += "\r\n";
  for (const std::vector<Cell>& row : table.rows) {
    for (std::size_t c = 0; c < row.size(); ++c) made += (c == 0 ? "" : ",") + csv_cell(row[c]);
    made += "\r\n";
  }
  return made;
}

}  // namespace weft
