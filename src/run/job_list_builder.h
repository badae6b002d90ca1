#pragma once
// What the three formats of job lists share: rows of names and texts go in, jobs come out.

#include <cstddef>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "weft/run/job_list.h"

#include "capped_problems.h"

namespace weft {

/// What is wrong with a name as the name of a value in a job list, or "". `kind`: "column".
std::string list_name_problem(const char* kind, const std::string& name);

/// One row: what it has set so far, and whether all of it was right.
struct ListRow {
  ListedJob listed;
  std::size_t line = 0;
  bool sound = true;
};

class JobListBuilder {
 public:
  JobListBuilder(const std::filesystem::path& file, const Job& defaults, Problems& problems);

  [[nodiscard]] CappedProblems& problems() { return problems_; }
  /// What every row begins with; a TOML file may change it.
  [[nodiscard]] ListedJob& defaults() { return defaults_; }
  [[nodiscard]] ListRow begin(std::size_t line) const;
  /// InputError unless list_name_problem("key", name) is "".
  void require_name(const std::string& name) const;
  /// Sets a value by its name; InputError says what is wrong with it.
  void set(const std::string& name, const std::string& text, ListedJob& listed) const;
  /// The same for a row that began in `line`; what is wrong is noted as a problem of that line.
  void set(const std::string& name, const std::string& text, ListRow& row);
  void add_problem(ListRow& row, std::string_view message);
  /// False when the list is too long to go on.
  [[nodiscard]] bool add(ListRow&& row);
  /// Names the jobs that have no id, and closes the list of problems.
  [[nodiscard]] std::vector<ListedJob> finish();

 private:
  std::filesystem::path file_;
  CappedProblems problems_;
  ListedJob defaults_;
  std::vector<ListedJob> jobs_;
  std::unordered_map<std::string, std::size_t> id_lines_;  // of the ids that the list gives
  std::size_t rows_ = 0;
  std::size_t without_model_ = 0, first_without_model_ = 0;  // rows, and the line of the first
};

/// One for each format: every row of `file` goes into `list`.
void read_csv_list(const std::filesystem::path& file, JobListBuilder& list);
void read_json_lines_list(const std::filesystem::path& file, JobListBuilder& list);

}  // namespace weft
