// Lists of jobs as CSV. libcsv finds cells and rows; here are lines, columns and their names.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include <csv.h>

#include "job_list_builder.h"
#include "job_values.h"

namespace weft {
namespace {

constexpr std::size_t most_cell_bytes = 4U << 20U;
constexpr std::size_t most_columns = 100;  // names of columns are unique, and known

// A quote that is never closed would otherwise take the whole file into memory.
void* limited_realloc(void* old, std::size_t size) {
  return size > most_cell_bytes ? nullptr : std::realloc(old, size);
}

class CsvList {
 public:
  explicit CsvList(JobListBuilder& list) : list_(list) {
    // Without memory of its own this cannot fail.
    csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_realloc_func(&parser_, limited_realloc);
    csv_set_blk_size(&parser_, 1U << 12U);
  }
  ~CsvList() { csv_free(&parser_); }
  CsvList(const CsvList&) = delete;
  CsvList& operator=(const CsvList&) = delete;

  /// Takes text that ends at a line feed or a carriage return or anywhere within a line, so that a
  /// row ends where a text does. False: no more.
  bool take(std::string_view text);
  /// After the last text.
  void close();

 private:
  static void on_cell(void* cell, std::size_t size, void* self) {
    static_cast<CsvList*>(self)->keep_cell({static_cast<const char*>(cell), size});
  }
  static void on_row(int /*end*/, void* self) { static_cast<CsvList*>(self)->row_ended_ = true; }

  void keep_cell(std::string_view cell);
  bool end_row();
  bool read_header();
  bool read_row();
  void add_syntax_problem(std::string what);

  JobListBuilder& list_;
  csv_parser parser_{};
  std::vector<std::string> columns_;  // names; "": one that is not known
  std::vector<std::string> cells_;    // of the row so far; at most as many as there are columns
  std::size_t cell_count_ = 0;        // of the row so far, the ones not kept included
  std::size_t line_ = 1, row_line_ = 1;
  bool in_row_ = false, row_ended_ = false, after_return_ = false;
};

bool CsvList::take(std::string_view text) {
  // "\r\n" comes as two texts, and is one line end.
  const bool rest_of_line_end = after_return_ && text == "\n";
  after_return_ = text.ends_with('\r');
  const bool blank = text.find_first_not_of(" \t\r\n") == std::string_view::npos;
  if (!in_row_ && !blank) {
    in_row_ = true;
    row_line_ = line_;
  }
  if (in_row_ &&
      csv_parse(&parser_, text.data(), text.size(), on_cell, on_row, this) != text.size()) {
    add_syntax_problem(
        "a quote inside a cell: put the whole cell in quotes and double the quotes in it");
    return false;
  }
  const bool ends_line = text.ends_with('\n') || text.ends_with('\r');
  if (ends_line && !rest_of_line_end) ++line_;
  return !row_ended_ || end_row();
}

void CsvList::close() {
  if (in_row_ && csv_fini(&parser_, on_cell, on_row, this) != 0) {
    add_syntax_problem("a quote that is never closed");
    return;
  }
  if (row_ended_ && !end_row()) return;
  if (columns_.empty()) {
    list_.problems().add(0, "is empty: the first row names the columns, such as prompt,seed");
  }
}

void CsvList::keep_cell(std::string_view cell) {
  ++cell_count_;
  const std::size_t most = columns_.empty() ? most_columns : columns_.size();
  if (cells_.size() < most) cells_.emplace_back(cell);
}

bool CsvList::end_row() {
  const bool go_on = columns_.empty() ? read_header() : read_row();
  cells_.clear();
  cell_count_ = 0;
  in_row_ = row_ended_ = false;
  return go_on;
}

bool CsvList::read_header() {
  CappedProblems& problems = list_.problems();
  if (cell_count_ > most_columns) {
    problems.add(row_line_, fmt::format("{} columns: at most {}", cell_count_, most_columns));
    return false;
  }
  if (std::ranges::none_of(cells_, [](const std::string& cell) {
        return list_name_problem("column", cell).empty();
      })) {
    problems.add(row_line_,
                 fmt::format("no header: the first row names the columns, such as prompt,seed; "
                             "this one begins with \"{}\"",
                             printable(cells_[0], 60)));
    return false;
  }
  columns_ = cells_;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const auto first = std::find(cells_.begin(), cells_.end(), cells_[i]) - cells_.begin();
    if (cells_[i].empty()) {
      problems.add(row_line_, fmt::format("column {} has no name", i + 1));
    } else if (const auto wrong = list_name_problem("column", cells_[i]); !wrong.empty()) {
      problems.add(row_line_, wrong);
      columns_[i].clear();
    } else if (static_cast<std::size_t>(first) != i) {
      problems.add(row_line_, fmt::format("column {} is named {}, as is column {}", i + 1,
                                          cells_[i], first + 1));
      columns_[i].clear();
    }
  }
  return true;
}

bool CsvList::read_row() {
  ListRow row = list_.begin(row_line_);
  if (cell_count_ != columns_.size()) {
    list_.add_problem(
        row, fmt::format(
                 "{} cells, but the header names {} columns{}", cell_count_, columns_.size(),
                 cell_count_ > columns_.size() ? ": a cell with commas in it goes in quotes" : ""));
  } else {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!columns_[i].empty() && !cells_[i].empty()) list_.set(columns_[i], cells_[i], row);
    }
  }
  return list_.add(std::move(row));
}

void CsvList::add_syntax_problem(std::string what) {
  if (csv_error(&parser_) != CSV_EPARSE && csv_error(&parser_) != CSV_SUCCESS) {
    what = "a cell of more than 4 MiB: is its closing quote missing?";
  } else if (line_ != row_line_) {
    what += fmt::format(" (found in line {})", line_);
  }
  list_.problems().add(row_line_, what);
}

// The end of the text up to and with the next line feed or carriage return.
std::size_t line_end(std::string_view text) {
  const std::size_t end = text.find_first_of("\r\n");
  return end == std::string_view::npos ? text.size() : end + 1;
}

}  // namespace

void read_csv_list(const std::filesystem::path& file, JobListBuilder& list) {
  std::ifstream stream(file, std::ios::binary);
  std::array<char, 1U << 16U> block{};
  CsvList csv(list);
  bool first = true;
  do {
    stream.read(block.data(), block.size());
    std::string_view text(block.data(), static_cast<std::size_t>(stream.gcount()));
    if (first && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    first = false;
    while (!text.empty()) {
      const std::size_t end = line_end(text);
      if (!csv.take(text.substr(0, end))) return;
      text.remove_prefix(end);
    }
  } while (stream);
  csv.close();
}

}  // namespace weft
