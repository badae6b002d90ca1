#pragma once
// Reads a configuration file key by key; every problem names file and key.

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "weft/base/error.h"

namespace weft {

class ConfigJson {
 public:
  ConfigJson(std::filesystem::path path, Problems& problems)
      : path_(std::move(path)), problems_(problems) {
    std::ifstream in(path_);
    if (!in) {
      problems_.add("{}: cannot be read; is the model folder complete?", path_.string());
      return;
    }
    // Printing a value descends once per level, and a real file has a handful of each.
    std::string text(most_bytes + 1, '\0');
    text.resize(static_cast<std::size_t>(
        in.read(text.data(), static_cast<std::streamsize>(text.size())).gcount()));
    bool fits = text.size() <= most_bytes;
    const auto shallow = [&](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
      fits = fits && depth <= most_depth;
      return fits;
    };
    if (fits) json_ = nlohmann::json::parse(text, shallow, /*allow_exceptions=*/false);
    if (!fits) {
      problems_.add("{}: more than {} bytes or {} levels, which no configuration has",
                    path_.string(), most_bytes, most_depth);
      json_ = nlohmann::json();
    } else if (!json_.is_object()) {
      problems_.add("{}: not a JSON object", path_.string());
      json_ = nlohmann::json();
    }
  }

  [[nodiscard]] bool usable() const { return json_.is_object(); }
  [[nodiscard]] const nlohmann::json& json() const { return json_; }
  [[nodiscard]] bool has(const std::string& key) const {
    return usable() && json_.contains(key) && !json_[key].is_null();
  }

  /// A whole number in [least, most]; `fallback` when the key is missing or null.
  std::int64_t integer(const std::string& key, std::int64_t fallback, std::int64_t least,
                       std::int64_t most) {
    if (!has(key)) return fallback;
    const auto& value = json_[key];
    if (!value.is_number_integer() || value < least || value > most) {
      problems_.add("{}: \"{}\" is {}, expected a whole number from {} to {}", path_.string(), key,
                    value.dump(), least, most);
      return fallback;
    }
    return value.get<std::int64_t>();
  }

  double number(const std::string& key, double fallback) {
    if (!has(key)) return fallback;
    const auto& value = json_[key];
    if (!value.is_number()) {
      problems_.add("{}: \"{}\" is {}, expected a number", path_.string(), key, value.dump());
      return fallback;
    }
    return value.get<double>();
  }

  bool boolean(const std::string& key, bool fallback) {
    if (!has(key)) return fallback;
    const auto& value = json_[key];
    if (!value.is_boolean()) {
      problems_.add("{}: \"{}\" is {}, expected true or false", path_.string(), key, value.dump());
      return fallback;
    }
    return value.get<bool>();
  }

  std::string text(const std::string& key, const std::string& fallback) {
    if (!has(key)) return fallback;
    const auto& value = json_[key];
    if (!value.is_string()) {
      problems_.add("{}: \"{}\" is {}, expected text", path_.string(), key, value.dump());
      return fallback;
    }
    return value.get<std::string>();
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  Problems& problems() { return problems_; }

 private:
  static constexpr std::size_t most_bytes = 1'000'000;
  static constexpr int most_depth = 50;

  std::filesystem::path path_;
  Problems& problems_;
  nlohmann::json json_;
};

}  // namespace weft
