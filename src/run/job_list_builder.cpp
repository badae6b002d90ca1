#include "job_list_builder.h"

#include <algorithm>

#include "job_list_ids.h"
#include "job_values.h"

namespace weft {
namespace {

constexpr std::size_t most_jobs = 1'000'000;

bool decided_by_folder(std::string_view name) { return name == "output" || name == "record"; }

bool is_list_name(const std::string& name) {
  return name == "id" || name == "priority" ||
         (!decided_by_folder(name) && find_job_key(name) != nullptr);
}

std::vector<std::string> list_names() {
  std::vector<std::string> names = job_key_names();
  std::erase_if(names, decided_by_folder);
  names.insert(names.end(), {"id", "priority"});
  return names;
}

Priority parse_priority(const std::string& text) {
  if (text == "high") return Priority::high;
  if (text == "normal") return Priority::normal;
  if (text == "low") return Priority::low;
  fail_input("priority: \"{}\" is not one of high, normal, low", text);
}

}  // namespace

std::string list_name_problem(const char* kind, const std::string& name) {
  if (decided_by_folder(name)) {
    return name + ": not in a list of jobs: each job writes into a folder of its own";
  }
  if (is_list_name(name)) return "";
  return unknown_name(kind, name, list_names());
}

JobListBuilder::JobListBuilder(const std::filesystem::path& file, const Job& defaults,
                               Problems& problems)
    : file_(file), problems_(file.string(), problems) {
  defaults_.job = defaults;
}

ListRow JobListBuilder::begin(std::size_t line) const { return {defaults_, line, true}; }

void JobListBuilder::require_name(const std::string& name) const {
  if (is_list_name(name)) return;
  if (problems_.full()) fail_input("");  // counted, not shown: nothing to search the nearest for
  fail_input("{}", list_name_problem("key", name));
}

void JobListBuilder::set(const std::string& name, const std::string& text,
                         ListedJob& listed) const {
  if (name == "id") {
    require_id(text);
    listed.id = text;
  } else if (name == "priority") {
    listed.priority = parse_priority(text);
  } else {
    const JobKey* key = find_job_key(name);
    WEFT_ASSERT(key != nullptr, "list_name_problem() lets \"{}\" pass", name);
    set_listed(*key, text, file_.parent_path(), listed.job);
  }
}

void JobListBuilder::set(const std::string& name, const std::string& text, ListRow& row) {
  const std::size_t before = problems_.count();
  problems_.collect(row.line, [&] { set(name, text, row.listed); });
  row.sound = row.sound && problems_.count() == before;
}

void JobListBuilder::add_problem(ListRow& row, std::string_view message) {
  problems_.add(row.line, message);
  row.sound = false;
}

bool JobListBuilder::add(ListRow&& row) {
  if (++rows_ > most_jobs) {
    problems_.add(row.line, fmt::format("more than {} jobs: split the list", most_jobs));
    return false;
  }
  ListedJob& listed = row.listed;
  if (row.sound && listed.job.prompt.find_first_not_of(" \t\r\n\v\f") == std::string::npos) {
    add_problem(row, "prompt: missing: say what to draw");
  }
  // Most likely all rows lack it: one problem then says so.
  if (listed.job.model.empty() && without_model_++ == 0) first_without_model_ = row.line;
  if (!listed.id.empty()) {
    const auto [other, is_new] = id_lines_.emplace(listed.id, row.line);
    if (!is_new) {
      add_problem(row, fmt::format("id: \"{}\" is also the id of line {}: ids are unique",
                                   listed.id, other->second));
    }
  }
  if (row.sound) {
    listed.where = fmt::format("{}:{}", file_.string(), row.line);
    jobs_.push_back(std::move(listed));
  }
  return true;
}

std::vector<ListedJob> JobListBuilder::finish() {
  if (without_model_ > 0) {
    const std::string others =
        without_model_ > 1 ? fmt::format(" (and for {} more jobs)", without_model_ - 1) : "";
    problems_.add(first_without_model_, "model: missing: name the model's folder" + others);
  }
  if (rows_ == 0 && problems_.count() == 0) problems_.add(0, "holds no jobs");
  problems_.close();
  name_jobs(jobs_);
  return std::move(jobs_);
}

}  // namespace weft
