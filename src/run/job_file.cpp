// A TOML job file: the keys of the job table, flat, one per line.
#include "weft/run/job.h"

#include "job_values.h"
#include "toml_file.h"

namespace weft {
namespace {

void set_key(const std::string& name, const toml::value& value, const std::filesystem::path& folder,
             JobFileFrom from, Job& job) {
  const JobKey* key = find_job_key(name);
  if (key == nullptr) {
    if (value.is_table()) fail_input("unknown key {}: a job file has no [sections]", name);
    fail_input("{}", unknown_name("key", name, job_key_names()));
  }
  require_toml_type(*key, value);
  const std::string text = toml_text(value);
  key->set(job, from == JobFileFrom::weft ? from_folder(*key, text, folder)
                                          : confined_to_folder(*key, text, folder));
}

}  // namespace

void read_job_file(const std::filesystem::path& path, Job& job, Problems& problems,
                   JobFileFrom from) {
  const auto file = TomlFile::read(path, "job file", problems);
  if (!file) return;
  for (const auto& [name, value] : TomlFile::entries(file->root())) {
    try {
      set_key(name, *value, path.parent_path(), from, job);
    } catch (const InputError& e) {
      for (const std::string& problem : e.problems()) {
        problems.add("{}:{}: {}", path.string(), file->line(*value), problem);
      }
    }
  }
}

}  // namespace weft
