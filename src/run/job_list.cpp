#include "weft/run/job_list.h"

#include <fstream>

#include "job_list_builder.h"
#include "job_values.h"
#include "toml_file.h"

namespace weft {
namespace {

// One key of a job or of the top of the file; a problem is one of the line of its value.
void set_toml(const std::string& name, const toml::value& value, const JobListBuilder& list,
              ListedJob& listed) {
  list.require_name(name);
  if (const JobKey* key = find_job_key(name); key != nullptr) {
    require_toml_type(*key, value);
  } else if (!value.is_string()) {
    fail_input("{}: expected a string in quotes, got {}", name, toml::stringize(value.type()));
  }
  list.set(name, toml_text(value), listed);
}

// False when the list is too long to go on.
bool read_toml_job(const TomlFile& file, const toml::value& table, JobListBuilder& list) {
  ListRow row = list.begin(file.line(table));
  if (!table.is_table()) {
    list.add_problem(row, "job: expected [[job]] and the keys of a job in the lines below");
    return list.add(std::move(row));
  }
  for (const auto& [name, value] : TomlFile::entries(table)) {
    const std::size_t before = list.problems().count();
    list.problems().collect(file.line(*value), [&, &name = name, &value = value] {
      set_toml(name, *value, list, row.listed);
    });
    row.sound = row.sound && list.problems().count() == before;
  }
  return list.add(std::move(row));
}

void read_toml_list(const std::filesystem::path& path, Problems& problems, JobListBuilder& list) {
  const auto file = TomlFile::read(path, "list of jobs", problems);
  if (!file) return;
  const toml::value* jobs = nullptr;
  for (const auto& [name, value] : TomlFile::entries(file->root())) {
    if (name == "job") {
      jobs = value;
      continue;
    }
    list.problems().collect(file->line(*value), [&, &name = name, &value = value] {
      if (name == "id") fail_input("id: belongs into a [[job]]: ids are unique");
      set_toml(name, *value, list, list.defaults());
    });
  }
  if (jobs == nullptr || !jobs->is_array()) {
    list.problems().add(jobs == nullptr ? 0 : file->line(*jobs),
                        "holds no jobs: begin each with [[job]]");
    return;
  }
  for (const toml::value& table : jobs->as_array()) {
    if (!read_toml_job(*file, table, list)) return;
  }
}

}  // namespace

std::vector<ListedJob> read_job_list(const std::filesystem::path& file, const Job& defaults,
                                     Problems& problems) {
  const std::string extension = file.extension().string();
  const bool json_lines = extension == ".jsonl" || extension == ".ndjson";
  if (!json_lines && extension != ".csv" && extension != ".toml") {
    problems.add("{}: a list of jobs ends in .csv, .jsonl or .toml", file.string());
    return {};
  }
  std::error_code none;
  if (std::filesystem::is_directory(file, none) || !std::ifstream(file)) {
    problems.add("{}: cannot be read: is this the list of jobs?", file.string());
    return {};
  }
  const std::size_t before = problems.list().size();
  JobListBuilder list(file, defaults, problems);
  if (json_lines) {
    read_json_lines_list(file, list);
  } else if (extension == ".csv") {
    read_csv_list(file, list);
  } else {
    read_toml_list(file, problems, list);
    if (list.problems().count() == 0 && problems.list().size() > before) return {};
  }
  return list.finish();
}

}  // namespace weft
