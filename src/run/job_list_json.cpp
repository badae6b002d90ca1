// Lists of jobs as JSON lines: an object per line, flat, with texts, numbers, true and false.
#include <algorithm>
#include <fstream>
#include <limits>
#include <string_view>

#include <nlohmann/json.hpp>

#include "job_list_builder.h"
#include "job_values.h"

namespace weft {
namespace {

using nlohmann::json;

constexpr std::streamsize most_line_bytes = 8 << 20;

struct JsonEntry {
  enum class Kind : std::uint8_t { null, toggle, number, text } kind;
  std::string name, text;  // text: as JobKey::set() takes it
};

// The entries of one flat object. It refuses all else as it comes, so nothing is ever nested.
class FlatObject : public nlohmann::json_sax<json> {
 public:
  using Kind = JsonEntry::Kind;

  [[nodiscard]] const std::vector<JsonEntry>& entries() const { return entries_; }
  [[nodiscard]] const std::string& error() const { return error_; }

  bool null() override { return value(Kind::null, ""); }
  bool boolean(bool on) override { return value(Kind::toggle, on ? "true" : "false"); }
  bool number_integer(number_integer_t number) override {
    return value(Kind::number, std::to_string(number));
  }
  bool number_unsigned(number_unsigned_t number) override {
    return value(Kind::number, std::to_string(number));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return value(Kind::number, text);
  }
  bool string(string_t& text) override { return value(Kind::text, std::move(text)); }
  bool binary(binary_t&) override { return refuse("unexpected binary data"); }
  bool start_object(std::size_t) override {
    if (inside_) return refuse(fmt::format("{}: expected a value, got an object", name_));
    inside_ = true;
    return true;
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override {
    if (!inside_) return refuse(no_object);
    return refuse(fmt::format("{}: expected a value, got an array", name_));
  }
  bool end_array() override { return true; }
  bool key(string_t& name) override {
    name_ = name;
    const bool twice =
        std::ranges::any_of(entries_, [&](const JsonEntry& e) { return e.name == name; });
    if (twice) return refuse(fmt::format("{}: given twice", name));
    if (entries_.size() >= 100) return refuse("more than 100 keys");  // a job has fewer
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return refuse(fmt::format("not valid JSON at byte {} of the line", position));
  }

 private:
  static constexpr const char* no_object = "expected an object such as {\"prompt\": \"a kite\"}";

  bool value(Kind kind, std::string text) {
    if (!inside_) return refuse(no_object);
    entries_.push_back({kind, name_, std::move(text)});
    return true;
  }
  bool refuse(std::string reason) {
    error_ = std::move(reason);
    return false;
  }

  std::vector<JsonEntry> entries_;
  std::string name_, error_;
  bool inside_ = false;
};

bool matches(JsonEntry::Kind kind, JobValue type) {
  switch (type) {
    case JobValue::text:
    case JobValue::path:
    case JobValue::choice:
      return kind == JsonEntry::Kind::text;
    case JobValue::integer:
    case JobValue::number:
      return kind == JsonEntry::Kind::number;
    case JobValue::toggle:
      return kind == JsonEntry::Kind::toggle;
  }
  return false;
}

const char* name_of(JsonEntry::Kind kind) {
  if (kind == JsonEntry::Kind::toggle) return "true or false";
  return kind == JsonEntry::Kind::number ? "a number" : "a string";
}

void set_json(const JsonEntry& entry, const JobListBuilder& list, ListedJob& listed) {
  list.require_name(entry.name);
  if (entry.kind == JsonEntry::Kind::null) return;
  const JobKey* key = find_job_key(entry.name);
  const JobValue type = key == nullptr ? JobValue::text : key->type;  // id, priority
  if (!matches(entry.kind, type)) {
    fail_input("{}: expected {}, got {}", entry.name, expected_value(type), name_of(entry.kind));
  }
  list.set(entry.name, entry.text, listed);
}

bool read_line(std::string_view text, std::size_t line, JobListBuilder& list) {
  ListRow row = list.begin(line);
  FlatObject object;
  // The parser takes a NUL for the end of its text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    list.add_problem(
        row, fmt::format("a NUL byte at byte {} of the line: save the file as UTF-8", nul + 1));
  } else if (!json::sax_parse(text.begin(), text.end(), &object)) {
    list.add_problem(row, object.error());
  }
  if (row.sound) {
    for (const JsonEntry& entry : object.entries()) {
      const std::size_t before = list.problems().count();
      list.problems().collect(line, [&] { set_json(entry, list, row.listed); });
      row.sound = row.sound && list.problems().count() == before;
    }
  }
  return list.add(std::move(row));
}

}  // namespace

void read_json_lines_list(const std::filesystem::path& file, JobListBuilder& list) {
  std::ifstream stream(file, std::ios::binary);
  std::string buffer(most_line_bytes + 1, '\0');
  for (std::size_t line = 1; stream; ++line) {
    stream.getline(buffer.data(), most_line_bytes + 1);
    const bool too_long = stream.fail() && stream.gcount() == most_line_bytes;
    if (stream.gcount() == 0) break;
    std::string_view text(buffer.data(), static_cast<std::size_t>(stream.gcount()));
    if (too_long) {
      list.problems().add(line, "a line of more than 8 MiB: is a line end missing?");
      stream.clear();
      stream.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
      continue;
    }
    if (!stream.eof()) text.remove_suffix(1);  // gcount() counts the '\n' that is taken off
    if (line == 1 && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (!read_line(text, line, list)) return;
  }
}

}  // namespace weft
