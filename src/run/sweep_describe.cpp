// A sweep in words: what --dry-run prints.
#include <algorithm>
#include <iterator>

#include "weft/run/sweep.h"

#include "job_values.h"

namespace weft {
namespace {

constexpr std::size_t most_rows = 50, most_values = 8, widest = 40;

std::string describe_axis(const SweepAxis& axis) {
  std::string values;
  for (std::size_t i = 0; i < std::min(axis.values.size(), most_values); ++i) {
    std::string together;
    for (const std::string& value : axis.values[i]) {
      together += (together.empty() ? "" : " + ") + printable(value, widest);
    }
    values += (i == 0 ? "" : ", ") + together;
  }
  const bool more = axis.values.size() > most_values;
  return fmt::format("  {}: {} values: {}{}\n", fmt::join(axis.keys, " + "), axis.values.size(),
                     values, more ? ", ..." : "");
}

using Row = std::vector<std::string>;

// Code points, as columns are padded by them.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string table_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows[0].size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      text += "  " + row[i] + std::string(last ? 0 : widths[i] - width(row[i]), ' ');
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::string describe(const Sweep& sweep) {
  std::string text = fmt::format("{} points, last axis fastest:\n", sweep.points.size());
  Row header{"point"};
  for (const SweepAxis& axis : sweep.axes) {
    text += describe_axis(axis);
    header.insert(header.end(), axis.keys.begin(), axis.keys.end());
  }
  std::vector<Row> rows{header};
  rows[0].emplace_back("id");
  for (std::size_t i = 0; i < std::min(sweep.points.size(), most_rows); ++i) {
    const ListedJob& point = sweep.points[i];
    Row row{std::to_string(i + 1)};
    std::transform(header.begin() + 1, header.end(), std::back_inserter(row),
                   [&](const std::string& name) {
                     return printable(find_job_key(name)->get(point.job), widest);
                   });
    row.push_back(point.id);
    rows.push_back(std::move(row));
  }
  text += "\n" + table_of(rows);
  if (sweep.points.size() > most_rows) {
    text += fmt::format("  ... and {} more\n", sweep.points.size() - most_rows);
  }
  return text;
}

}  // namespace weft
