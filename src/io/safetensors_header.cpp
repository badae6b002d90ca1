#include "safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "strict_json.h"

namespace weft {
namespace {

// Real files hold a few thousand tensors; the limits keep a hostile header cheap to refuse.
constexpr std::size_t max_tensors = 200'000;
constexpr std::size_t max_name_bytes = 4096;

constexpr std::array<std::pair<std::string_view, std::size_t>, 15> dtypes{{{"BOOL", 1},
                                                                           {"U8", 1},
                                                                           {"I8", 1},
                                                                           {"F8_E5M2", 1},
                                                                           {"F8_E4M3", 1},
                                                                           {"I16", 2},
                                                                           {"U16", 2},
                                                                           {"F16", 2},
                                                                           {"BF16", 2},
                                                                           {"I32", 4},
                                                                           {"U32", 4},
                                                                           {"F32", 4},
                                                                           {"F64", 8},
                                                                           {"I64", 8},
                                                                           {"U64", 8}}};

/// Reads {"name": {"dtype": "F32", "shape": [..], "data_offsets": [b, e]}, "__metadata__": {..}}.
class HeaderReader : public StrictJson {
 public:
  std::map<std::string, HeaderEntry> entries;

  bool start_object(std::size_t) override {
    if (depth_ == 0) {
      depth_ = 1;
      return true;
    }
    if (depth_ != 1) return refuse_value("'{'");
    depth_ = 2;
    entry_ = {};
    seen_.fill(false);
    return true;
  }

  bool end_object() override {
    if (depth_ == 2 && !in_metadata_) {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (!seen_[i]) return refuse(fmt::format("tensor {} has no '{}'", shown(name_), fields[i]));
      }
      entries.emplace(name_, entry_);
    }
    in_metadata_ = false;
    --depth_;
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ == 1) return top_level_key(name);
    if (in_metadata_) {
      if (metadata_keys_.size() == max_tensors) {
        return refuse(fmt::format("there are more than {} keys in __metadata__", max_tensors));
      }
      if (!metadata_keys_.insert(name).second) {
        return refuse(fmt::format("the key {} occurs twice in __metadata__", shown(name)));
      }
      return true;
    }
    const auto at = std::find(fields.begin(), fields.end(), name);
    if (at == fields.end()) {
      return refuse(
          fmt::format("tensor {} has an unknown key {} (known: dtype, shape, data_offsets)",
                      shown(name_), shown(name)));
    }
    field_ = static_cast<std::size_t>(at - fields.begin());
    if (std::exchange(seen_[field_], true)) {
      return refuse(fmt::format("tensor {} has '{}' twice", shown(name_), *at));
    }
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) return true;
    if (depth_ != 2 || field_ != dtype_field) return refuse_value("a string");
    if (stored_dtype_size(value) == 0) {
      return refuse(fmt::format("tensor {} has the unknown dtype {}", shown(name_), shown(value)));
    }
    entry_.dtype = value;
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || field_ == dtype_field) return refuse_value("'['");
    depth_ = 3;
    count_ = 0;
    return true;
  }

  bool end_array() override {
    depth_ = 2;
    if (field_ == shape_field) {
      entry_.shape = Shape(std::span<const std::int64_t>(dims_.data(), count_));
      return true;
    }
    if (count_ != 2) {
      return refuse(fmt::format("tensor {} needs two data_offsets, not {}", shown(name_), count_));
    }
    entry_.begin = static_cast<std::uint64_t>(dims_[0]);
    entry_.end = static_cast<std::uint64_t>(dims_[1]);
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) return refuse_value(fmt::format("the number {}", value));
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return refuse_value(fmt::format("the number {} above 2^63 - 1", value));
    }
    const std::size_t most = field_ == shape_field ? dims_.size() : 2;
    if (count_ == most) {
      return refuse(fmt::format("tensor {} has more than {} numbers in '{}'", shown(name_), most,
                                fields[field_]));
    }
    dims_[count_++] = static_cast<std::int64_t>(value);
    return true;
  }

  bool number_integer(number_integer_t value) override {
    return refuse_value(fmt::format("the number {}", value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return refuse_value(fmt::format("the number {}", shown(text)));
  }
  bool boolean(bool value) override { return refuse_value(value ? "true" : "false"); }
  bool null() override { return refuse_value("null"); }

 private:
  static constexpr std::array<std::string_view, 3> fields{"dtype", "shape", "data_offsets"};
  static constexpr std::size_t dtype_field = 0;
  static constexpr std::size_t shape_field = 1;

  bool top_level_key(const std::string& name) {
    name_ = name;
    if (name == "__metadata__") {
      in_metadata_ = true;
      if (std::exchange(had_metadata_, true)) return refuse("__metadata__ occurs twice");
      return true;
    }
    if (name.size() > max_name_bytes || name.find('\0') != std::string::npos) {
      return refuse(fmt::format("the tensor name {} is longer than {} bytes or holds U+0000",
                                shown(name), max_name_bytes));
    }
    if (entries.size() == max_tensors) {
      return refuse(fmt::format("there are more than {} tensors", max_tensors));
    }
    if (entries.contains(name)) return refuse(fmt::format("tensor {} occurs twice", shown(name)));
    return true;
  }

  bool refuse_value(const std::string& what) {
    if (depth_ == 0) return refuse(fmt::format("{} where an object was expected", what));
    if (depth_ == 1) {
      return refuse(
          fmt::format("{} as the value of {} where an object was expected", what, shown(name_)));
    }
    if (in_metadata_) {
      return refuse(fmt::format("{} in __metadata__, which may hold strings only", what));
    }
    return refuse(fmt::format("{} in '{}' of tensor {}, where {} was expected", what,
                              fields[field_], shown(name_),
                              field_ == dtype_field ? "a name" : "a list of whole numbers >= 0"));
  }

  int depth_ = 0;  // 1 inside the header, 2 inside an entry or __metadata__, 3 inside an array
  bool in_metadata_ = false;
  bool had_metadata_ = false;
  std::set<std::string> metadata_keys_;
  std::string name_;
  HeaderEntry entry_{};
  std::array<bool, 3> seen_{};
  std::size_t field_ = 0;
  std::array<std::int64_t, Shape::max_rank> dims_{};
  std::size_t count_ = 0;
};

void check_sizes(const std::string& name, const HeaderEntry& entry) {
  std::int64_t bytes = static_cast<std::int64_t>(stored_dtype_size(entry.dtype));
  bool overflow = false;
  for (const std::int64_t dim : entry.shape.dims()) {
    overflow |= __builtin_mul_overflow(bytes, dim, &bytes);
  }
  if (overflow) {
    refuse_file("tensor {}: shape {} has more elements than 63 bits can count", shown(name),
                entry.shape.str());
  }
  if (entry.end < entry.begin) {
    refuse_file("tensor {}: data_offsets [{}, {}] run backwards", shown(name), entry.begin,
                entry.end);
  }
  if (entry.end - entry.begin != static_cast<std::uint64_t>(bytes)) {
    refuse_file("tensor {}: {} {} needs {} bytes, but data_offsets [{}, {}] hold {}", shown(name),
                entry.dtype, entry.shape.str(), bytes, entry.begin, entry.end,
                entry.end - entry.begin);
  }
}

/// Sorted by offset, the ranges must cover the data from its first byte to its last, each once.
void check_cover(const std::map<std::string, HeaderEntry>& entries, std::uint64_t data_bytes) {
  std::vector<const std::pair<const std::string, HeaderEntry>*> sorted;
  sorted.reserve(entries.size());
  for (const auto& item : entries) sorted.push_back(&item);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  std::uint64_t covered = 0;
  for (const auto* item : sorted) {
    if (item->second.begin != covered) {
      refuse_file(
          "tensor {} starts at byte {} of the data, but the tensors before it end at {}: {}",
          shown(item->first), item->second.begin, covered,
          item->second.begin > covered ? "there is a hole" : "they overlap");
    }
    covered = item->second.end;
  }
  if (covered > data_bytes) {
    refuse_file(
        "the header describes {} bytes of data, but the file holds only {}: it is truncated",
        covered, data_bytes);
  }
  if (covered < data_bytes) {
    refuse_file(
        "the header describes {} bytes of data, but the file holds {}: there are {} bytes too many",
        covered, data_bytes, data_bytes - covered);
  }
}

}  // namespace

std::size_t stored_dtype_size(std::string_view dtype) {
  for (const auto& [name, size] : dtypes) {
    if (name == dtype) return size;
  }
  return 0;
}

std::map<std::string, HeaderEntry> parse_safetensors_header(std::string_view json,
                                                            std::uint64_t data_bytes) {
  if (json.empty() || json.front() != '{') refuse_file("the header does not start with '{{'");
  HeaderReader reader;
  if (!reader.read(json)) refuse_file("bad header: {}", reader.error());
  for (const auto& [name, entry] : reader.entries) check_sizes(name, entry);
  check_cover(reader.entries, data_bytes);
  return std::move(reader.entries);
}

}  // namespace weft
