// A TOML job file: the keys of the job table, flat, one per line.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include <toml.hpp>

#include "weft/run/job.h"

namespace weft {
namespace {

const char* expected(JobValue type) {
  switch (type) {
    case JobValue::text:
    case JobValue::path:
    case JobValue::choice:
      return "a string in quotes";
    case JobValue::integer:
      return "a whole number";
    case JobValue::number:
      return "a number";
    case JobValue::toggle:
      return "true or false";
  }
  return "?";
}

bool matches(const toml::value& value, JobValue type) {
  switch (type) {
    case JobValue::text:
    case JobValue::path:
    case JobValue::choice:
      return value.is_string();
    case JobValue::integer:
      return value.is_integer();
    case JobValue::number:
      return value.is_integer() || value.is_floating();
    case JobValue::toggle:
      return value.is_boolean();
  }
  return false;
}

// A number as the file spells it: toml11's integers saturate silently at 2^63 - 1, seeds go on.
std::string number_text(const toml::value& value) {
  const toml::source_location at = value.location();
  std::string text = at.line_str().substr(at.column() - 1, at.region());
  std::erase(text, '_');
  if (text.starts_with('+')) text.erase(0, 1);
  const bool other_base =
      text.starts_with("0x") || text.starts_with("0o") || text.starts_with("0b");
  return other_base ? std::to_string(value.as_integer()) : text;
}

// The value as JobKey::set takes it; a relative path starts from the job file's folder.
std::string text_of(const toml::value& value, const JobKey& key,
                    const std::filesystem::path& folder) {
  if (value.is_boolean()) return value.as_boolean() ? "true" : "false";
  if (!value.is_string()) return number_text(value);
  const std::string& text = value.as_string().str;
  const bool no_file = text.empty() || (text == "none" && key.metavar == std::string("PATH|none"));
  return key.type == JobValue::path && !no_file ? (folder / text).string() : text;
}

void set_key(const std::string& name, const toml::value& value, const std::filesystem::path& folder,
             Job& job) {
  const auto& keys = job_keys();
  const auto key = std::ranges::find_if(keys, [&](const JobKey& k) { return k.name == name; });
  if (key == keys.end()) {
    if (value.is_table()) fail_input("unknown key {}: a job file has no [sections]", name);
    std::vector<std::string> names;
    std::ranges::transform(keys, std::back_inserter(names), [](const JobKey& k) { return k.name; });
    const std::string nearest = nearest_name(name, names);
    fail_input("unknown key {}{}", name, nearest.empty() ? "" : ": did you mean " + nearest + "?");
  }
  if (!matches(value, key->type)) {
    fail_input("{}: expected {}, got {}", name, expected(key->type), toml::stringize(value.type()));
  }
  key->set(job, text_of(value, *key, folder));
}

// "[error] toml::parse_table: invalid line format\n --> FILE\n..." without what only toml11 knows.
std::string syntax_message(const std::string& message) {
  const std::string first = message.substr(0, message.find('\n'));
  const std::size_t colon = first.find(": ");
  return colon == std::string::npos ? first : first.substr(colon + 2);
}

}  // namespace

void read_job_file(const std::filesystem::path& path, Job& job, Problems& problems) {
  const std::string file = path.string();
  std::ifstream stream(path, std::ios::binary);
  std::stringstream content;
  // An empty file sets the fail bit of `content`, which is no error.
  if (!std::filesystem::is_directory(path) && stream) content << stream.rdbuf();
  if (std::filesystem::is_directory(path) || !stream) {
    problems.add("{}: cannot be read: is this the job file?", file);
    return;
  }
  content.clear();

  std::vector<std::pair<std::string, toml::value>> entries;
  try {
    const toml::value root = toml::parse(content, file);
    entries.assign(root.as_table().begin(), root.as_table().end());
  } catch (const toml::exception& e) {
    problems.add("{}:{}: not valid TOML: {}", file, e.location().line(), syntax_message(e.what()));
    return;
  }
  std::ranges::sort(entries, {}, [](const auto& entry) { return entry.second.location().line(); });
  for (const auto& [name, value] : entries) {
    try {
      set_key(name, value, path.parent_path(), job);
    } catch (const InputError& e) {
      for (const std::string& problem : e.problems()) {
        problems.add("{}:{}: {}", file, value.location().line(), problem);
      }
    }
  }
}

}  // namespace weft
