#pragma once
// Reads a component's config.json key by key: a missing key takes its default, an unknown key is
// ignored, and every key of a wrong type or size becomes a problem that names file and key.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "weft/base/error.h"

namespace weft {

class JsonConfig {
 public:
  JsonConfig(const std::filesystem::path& path, Problems& problems);

  /// True when the key is there and not null.
  [[nodiscard]] bool has(const char* key) const;
  /// A whole number in [1, 65536]: no width, count or factor of a model lies beyond.
  std::int64_t size(const char* key, std::int64_t fallback);
  std::vector<std::int64_t> sizes(const char* key, std::vector<std::int64_t> fallback);
  bool flag(const char* key, bool fallback);
  std::vector<bool> flags(const char* key, std::vector<bool> fallback);
  std::vector<float> numbers(const char* key, std::vector<float> fallback);
  /// True when the key is absent, null or an empty list.
  [[nodiscard]] bool empty_list(const char* key) const;

  /// Adds "FILE: KEY: ...".
  template <class... Args>
  void wrong(const char* key, fmt::format_string<Args...> format, Args&&... args) {
    problems_.add("{}: {}: {}", path_, key, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::string path_;
  Problems& problems_;
  nlohmann::json json_;
};

}  // namespace weft
