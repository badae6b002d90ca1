#include "job_values.h"

#include <algorithm>
#include <iterator>

#include <utf8proc.h>

namespace weft {
namespace {

// Longer names and values are not worth comparing with the known ones, letter by letter.
constexpr std::size_t longest_name = 64;
constexpr std::size_t longest_short_value = 1000;  // bytes of a number, a choice, a size

bool names_file(const JobKey& key, const std::string& text) {
  const bool none = text.empty() || (text == "none" && key.metavar == std::string("PATH|none"));
  return key.type == JobValue::path && !none;
}

}  // namespace

const JobKey* find_job_key(std::string_view name) {
  const auto& keys = job_keys();
  const auto key = std::ranges::find_if(keys, [&](const JobKey& k) { return k.name == name; });
  return key == keys.end() ? nullptr : &*key;
}

std::vector<std::string> job_key_names() {
  std::vector<std::string> names;
  std::ranges::transform(job_keys(), std::back_inserter(names),
                         [](const JobKey& k) { return k.name; });
  return names;
}

std::string unknown_name(const char* kind, const std::string& name,
                         const std::vector<std::string>& known) {
  const std::string near = name.size() > longest_name ? "" : nearest_name(name, known);
  return fmt::format("unknown {} {}{}", kind, name,
                     near.empty() ? "" : ": did you mean " + near + "?");
}

const char* expected_value(JobValue type) {
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

std::string from_folder(const JobKey& key, const std::string& text,
                        const std::filesystem::path& folder) {
  return names_file(key, text) ? (folder / text).string() : text;
}

std::string confined_to_folder(const JobKey& key, const std::string& text,
                               const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::string path = from_folder(key, text, folder);
  if (!names_file(key, text) || key.name == std::string_view("model")) return path;
  std::error_code unknown;
  const fs::path here = fs::current_path();  // weakly_canonical() leaves what is not there relative
  const fs::path root = fs::weakly_canonical(here / folder, unknown);
  const fs::path place = unknown ? fs::path() : fs::weakly_canonical(here / path, unknown);
  if (!unknown && std::ranges::mismatch(root, place).in1 == root.end()) return path;
  fail_input(
      "{}: {} is not inside {}, where the file that names it lies: put it there, or say it "
      "with --{}",
      key.name, printable(text), root.string(), key.name);
}

void set_listed(const JobKey& key, const std::string& text, const std::filesystem::path& folder,
                Job& job) {
  if (const std::size_t at = unsound_at(text); at != std::string::npos) {
    fail_input("{}: {} at byte {}: save the file as UTF-8", key.name,
               text[at] == '\0' ? "a NUL character" : "not UTF-8", at + 1);
  }
  // The scenes of a storyboard have the rule of a prompt each, so that it may be long.
  const bool is_long_text = std::string_view(key.metavar).find("TEXT") != std::string_view::npos;
  if (!is_long_text && text.size() > longest_short_value) {
    fail_input("{}: {} bytes long: use at most {}", key.name, text.size(), longest_short_value);
  }
  if (key.name == std::string_view("model") && text.empty()) fail_input("model: is empty");
  const std::string value = confined_to_folder(key, text, folder);
  std::error_code unreadable;
  if (key.name == std::string_view("image") && !value.empty() &&
      !std::filesystem::is_regular_file(value, unreadable)) {
    fail_input("image: {} is not a file that can be read", value);
  }
  key.set(job, value);
}

std::size_t unsound_at(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  std::size_t at = 0;
  while (at < text.size()) {
    if (bytes[at] >= 1 && bytes[at] < 0x80) {
      ++at;
      continue;
    }
    utf8proc_int32_t code_point = 0;
    const auto used =
        utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
    if (used <= 0 || code_point == 0) return at;
    at += static_cast<std::size_t>(used);
  }
  return std::string_view::npos;
}

std::string printable(std::string_view text, std::size_t most) {
  std::string shown;
  std::size_t at = 0;
  while (at < text.size() && shown.size() < most) {
    utf8proc_int32_t c = -1;
    const auto used = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                       static_cast<utf8proc_ssize_t>(text.size() - at), &c);
    const std::size_t length = used <= 0 ? 1 : static_cast<std::size_t>(used);
    const bool control = c < 0x20 || (c >= 0x7F && c < 0xA0);  // -1: not UTF-8
    if (c == '\n') {
      shown += "\\n";
    } else if (control) {
      shown += fmt::format("\\x{:02x}", c < 0 ? static_cast<unsigned char>(text[at]) : c);
    } else {
      shown += text.substr(at, length);
    }
    at += length;
  }
  return at < text.size() ? shown + "..." : shown;
}

}  // namespace weft
