// A job as a job file.
#include <string_view>

#include "weft/run/job_list.h"

#include "job_values.h"

namespace weft {
namespace {

// A basic string of TOML: quotes, backslashes and control characters escaped, all else as it is.
std::string toml_string(std::string_view text) {
  std::string made = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      made += '\\';
      made += c;
    } else if (c == '\n') {
      made += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      made += fmt::format("\\u{:04X}", byte);
    } else {
      made += c;
    }
  }
  return made + "\"";
}

std::string value_text(const JobKey& key, const std::string& text) {
  switch (key.type) {
    case JobValue::integer:
    case JobValue::number:
    case JobValue::toggle:
      return text;
    case JobValue::path:
      return toml_string(from_folder(key, text, std::filesystem::current_path()));
    case JobValue::text:
    case JobValue::choice:
      break;
  }
  return toml_string(text);
}

}  // namespace

std::string job_text(const Job& job) {
  std::string made;
  const Job untouched;
  for (const JobKey& key : job_keys()) {
    const std::string text = key.get(job);
    if (text != key.get(untouched)) {
      made += fmt::format("{} = {}\n", key.name, value_text(key, text));
    }
  }
  return made;
}

}  // namespace weft
