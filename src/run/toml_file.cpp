#include "toml_file.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "job_values.h"

namespace weft {
namespace {

constexpr std::size_t most_bytes = 64U << 20U;

// Where a value begins. Of a value from a file this is always a region.
std::size_t offset_of(const toml::value& value) {
  const auto* region = dynamic_cast<const toml::detail::region*>(toml::detail::get_region(value));
  return region == nullptr ? 0 : static_cast<std::size_t>(region->first() - region->begin());
}

// "[error] toml::parse_table: invalid line format\n --> FILE\n..." without what only toml11 knows.
std::string syntax_message(const std::string& message) {
  const std::string first = message.substr(0, message.find('\n'));
  const std::size_t colon = first.find(": ");
  return printable(colon == std::string::npos ? first : first.substr(colon + 2));
}

// The parser and the destructors of its values descend once per level: a few kilobytes of brackets
// or of dots would end the program for want of stack.
class Nesting {
 public:
  /// The line on which `text` nests deeper than any file of ours; 0 if none does.
  std::size_t too_deep_in(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') ++line_;
      if (quote_.empty()) {
        outside(text, i);
      } else {
        inside(text, i);
      }
      if (brackets_ > 16 || dots_ > 16) return line_;
    }
    return 0;
  }

 private:
  void outside(std::string_view text, std::size_t& i) {
    const char c = text[i];
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '"' || c == '\'') {
      const std::string three(3, c);
      quote_ = text.substr(i, 3) == three ? three : std::string(1, c);
      i += quote_.size() - 1;
    } else if (c == '[' || c == '{') {
      ++brackets_;
    } else if (c == ']' || c == '}') {
      brackets_ = std::max(0, brackets_ - 1);
    }
    if (c == '.') {
      ++dots_;
    } else if (c == '=' || c == ',' || c == '\n' || c == '[' || c == '{') {
      dots_ = 0;
    }
  }

  void inside(std::string_view text, std::size_t& i) {
    if (text[i] == '\\' && quote_[0] == '"') {
      ++i;
      if (i < text.size() && text[i] == '\n') ++line_;
    } else if (text.substr(i, quote_.size()) == quote_) {
      i += quote_.size() - 1;
      quote_.clear();
    } else if (text[i] == '\n' && quote_.size() == 1) {
      quote_.clear();  // not TOML: the parser will say so
    }
  }

  std::string quote_;  // that opened the string here: " ' """ '''
  int brackets_ = 0, dots_ = 0;
  std::size_t line_ = 1;
};

}  // namespace

std::optional<TomlFile> TomlFile::read(const std::filesystem::path& path, const char* what,
                                       Problems& problems) {
  const std::string file = path.string();
  std::error_code none;
  std::ifstream stream(path, std::ios::binary);
  if (std::filesystem::is_directory(path, none) || !stream) {
    problems.add("{}: cannot be read: is this the {}?", file, what);
    return std::nullopt;
  }
  std::string text, block(1U << 16U, '\0');
  while (text.size() <= most_bytes && stream) {
    stream.read(block.data(), static_cast<std::streamsize>(block.size()));
    text.append(block, 0, static_cast<std::size_t>(stream.gcount()));
  }
  if (text.size() > most_bytes) {
    problems.add("{}: has more than {} bytes: for more jobs use .csv or .jsonl", file, most_bytes);
    return std::nullopt;
  }
  const auto line_at = [&](std::size_t offset) {
    return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
  };
  if (const std::size_t at = unsound_at(text); at != std::string::npos) {
    problems.add("{}:{}: {}: save the file as UTF-8", file, line_at(at),
                 text[at] == '\0' ? "a NUL character" : "not UTF-8");
    return std::nullopt;
  }
  if (const std::size_t line = Nesting().too_deep_in(text); line != 0) {
    problems.add("{}:{}: not valid here: nested too deeply", file, line);
    return std::nullopt;
  }

  TomlFile made;
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  try {
    std::istringstream content(text);
    made.root_ = toml::parse(content, file);
  } catch (const toml::exception& e) {
    problems.add("{}:{}: not valid TOML: {}", file, e.location().line(), syntax_message(e.what()));
    return std::nullopt;
  } catch (const std::exception& e) {  // of the standard library: a date in no calendar, say
    problems.add("{}: not valid TOML: {}", file, syntax_message(e.what()));
    return std::nullopt;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') made.line_ends_.push_back(i);
  }
  return made;
}

std::size_t TomlFile::line(const toml::value& value) const {
  const auto after = std::ranges::lower_bound(line_ends_, offset_of(value));
  return 1 + static_cast<std::size_t>(after - line_ends_.begin());
}

std::vector<TomlFile::Entry> TomlFile::entries(const toml::value& table) {
  std::vector<Entry> entries;
  for (const auto& [name, value] : table.as_table()) entries.emplace_back(name, &value);
  std::ranges::sort(entries, {}, [](const Entry& entry) { return offset_of(*entry.second); });
  return entries;
}

bool toml_matches(const toml::value& value, JobValue type) {
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

std::string toml_text(const toml::value& value) {
  if (value.is_boolean()) return value.as_boolean() ? "true" : "false";
  if (value.is_string()) return value.as_string().str;
  // As the file spells it: toml11's integers saturate silently at 2^63 - 1, seeds go on.
  std::string text = toml::detail::get_region(value)->str();
  std::erase(text, '_');
  if (text.starts_with('+')) text.erase(0, 1);
  const bool other_base =
      text.starts_with("0x") || text.starts_with("0o") || text.starts_with("0b");
  return other_base ? std::to_string(value.as_integer()) : text;
}

void require_toml_type(const JobKey& key, const toml::value& value) {
  if (toml_matches(value, key.type)) return;
  fail_input("{}: expected {}, got {}", key.name, expected_value(key.type),
             toml::stringize(value.type()));
}

}  // namespace weft
