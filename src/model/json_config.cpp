#include "json_config.h"

#include <cmath>
#include <fstream>

namespace weft {
namespace {

using nlohmann::json;

constexpr std::int64_t largest_size = 65536;

bool is_size(const json& value) {
  return value.is_number_integer() && value >= 1 && value <= largest_size;
}

bool is_finite_number(const json& value) {
  return value.is_number() && std::isfinite(static_cast<float>(value.get<double>()));
}

template <class T, class Accept>
bool all_of(const json& list, Accept accept, std::vector<T>& out) {
  if (!list.is_array()) return false;
  for (const auto& value : list) {
    if (!accept(value)) return false;
    out.push_back(value.get<T>());
  }
  return true;
}

}  // namespace

JsonConfig::JsonConfig(const std::filesystem::path& path, Problems& problems)
    : path_(path.string()), problems_(problems), json_(json::object()) {
  std::ifstream in(path);
  if (!in) {
    problems.add("{}: cannot be opened; is this a diffusers model folder?", path_);
    return;
  }
  try {
    json parsed = json::parse(in);
    if (parsed.is_object()) {
      json_ = std::move(parsed);
    } else {
      problems.add("{}: want a JSON object {{...}}", path_);
    }
  } catch (const json::exception& e) {
    problems.add("{}: not valid JSON: {}", path_, e.what());
  }
}

bool JsonConfig::has(const char* key) const {
  return json_.contains(key) && !json_.at(key).is_null();
}

std::int64_t JsonConfig::size(const char* key, std::int64_t fallback) {
  if (!has(key)) return fallback;
  if (is_size(json_.at(key))) return json_.at(key).get<std::int64_t>();
  wrong(key, "found {}, want a whole number from 1 to {}", json_.at(key).dump(), largest_size);
  return fallback;
}

std::vector<std::int64_t> JsonConfig::sizes(const char* key, std::vector<std::int64_t> fallback) {
  if (!has(key)) return fallback;
  std::vector<std::int64_t> list;
  if (all_of(json_.at(key), is_size, list)) return list;
  wrong(key, "found {}, want a list of whole numbers from 1 to {}", json_.at(key).dump(),
        largest_size);
  return fallback;
}

bool JsonConfig::flag(const char* key, bool fallback) {
  if (!has(key)) return fallback;
  if (json_.at(key).is_boolean()) return json_.at(key).get<bool>();
  wrong(key, "found {}, want true or false", json_.at(key).dump());
  return fallback;
}

std::vector<bool> JsonConfig::flags(const char* key, std::vector<bool> fallback) {
  if (!has(key)) return fallback;
  std::vector<bool> list;
  if (all_of(
          json_.at(key), [](const json& v) { return v.is_boolean(); }, list))
    return list;
  wrong(key, "found {}, want a list of true and false", json_.at(key).dump());
  return fallback;
}

std::vector<float> JsonConfig::numbers(const char* key, std::vector<float> fallback) {
  if (!has(key)) return fallback;
  std::vector<float> list;
  if (all_of(json_.at(key), is_finite_number, list)) return list;
  wrong(key, "found {}, want a list of finite numbers", json_.at(key).dump());
  return fallback;
}

bool JsonConfig::empty_list(const char* key) const {
  return !has(key) || (json_.at(key).is_array() && json_.at(key).empty());
}

}  // namespace weft
