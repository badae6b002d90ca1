#pragma once
// A TOML file as it is read here: bounded, and with the line of every value at hand.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <toml.hpp>

#include "weft/run/job.h"

namespace weft {

class TomlFile {
 public:
  /// Nothing when it cannot be read or is not TOML: a problem then says so. `what`: "job file".
  static std::optional<TomlFile> read(const std::filesystem::path& path, const char* what,
                                      Problems& problems);

  [[nodiscard]] const toml::value& root() const { return root_; }
  /// The line where a value begins. Takes logarithmic time: toml11's own counts from the top.
  [[nodiscard]] std::size_t line(const toml::value& value) const;

  using Entry = std::pair<std::string, const toml::value*>;
  /// The entries of a table in the order of the file.
  [[nodiscard]] static std::vector<Entry> entries(const toml::value& table);

 private:
  toml::value root_;
  std::vector<std::size_t> line_ends_;  // offsets of '\n'
};

/// True when a value of this kind may stand for a key of this type.
bool toml_matches(const toml::value& value, JobValue type);
/// A string's text, true or false, or a number as the file spells it.
std::string toml_text(const toml::value& value);
/// "KEY: expected a whole number, got string" as an InputError unless toml_matches().
void require_toml_type(const JobKey& key, const toml::value& value);

}  // namespace weft
