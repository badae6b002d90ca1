#include <algorithm>
#include <fstream>
#include <set>

#include "weft/io/safetensors.h"

#include "strict_json.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t max_index_bytes = 100'000'000;
constexpr std::size_t max_names_shown = 10;

using ShardMap = std::map<std::string, std::string>;  // tensor to the file that holds it

/// Reads {"metadata": anything, "weight_map": {tensor: file}}.
class IndexReader : public StrictJson {
 public:
  ShardMap shard_of;
  bool has_weight_map = false;

  bool start_object(std::size_t) override {
    if (++depth_ > max_depth) return refuse("objects nested too deeply");
    if (!in_map()) return true;
    has_weight_map = depth_ == 2;
    return has_weight_map || refuse("an object in weight_map, where file names were expected");
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool key(string_t& name) override {
    if (depth_ == 1) {
      section_ = name;
      if (!sections_.insert(name).second || sections_.size() > 100) {
        return refuse(fmt::format("the key {} occurs twice, or there are too many", shown(name)));
      }
    } else if (in_map()) {
      tensor_ = name;
      if (shard_of.contains(name)) {
        return refuse(fmt::format("tensor {} occurs twice in weight_map", shown(name)));
      }
    }
    return true;
  }
  bool string(string_t& value) override {
    if (in_map() && depth_ == 2) {
      shard_of.emplace(tensor_, value);
      return true;
    }
    return ignore("a string");
  }
  bool start_array(std::size_t) override {
    if (++depth_ > max_depth) return refuse("lists nested too deeply");
    return !in_map() || refuse("a list in weight_map, where file names were expected");
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool number_unsigned(number_unsigned_t) override { return ignore("a number"); }
  bool number_integer(number_integer_t) override { return ignore("a number"); }
  bool number_float(number_float_t, const string_t&) override { return ignore("a number"); }
  bool boolean(bool) override { return ignore("true or false"); }
  bool null() override { return ignore("null"); }

 private:
  static constexpr int max_depth = 16;
  [[nodiscard]] bool in_map() const { return depth_ >= 1 && section_ == "weight_map"; }
  bool ignore(const char* what) {
    if (depth_ >= 1 && !in_map()) return true;
    return refuse(fmt::format("{} where a map from tensor to file name was expected", what));
  }
  int depth_ = 0;
  std::string section_;
  std::set<std::string> sections_;
  std::string tensor_;
};

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), max_names_shown); ++i) {
    text += (i ? ", " : "") + shown(names[i]);
  }
  if (names.size() > max_names_shown) {
    text += fmt::format(" and {} more", names.size() - max_names_shown);
  }
  return text;
}

ShardMap read_index(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(path, error);
  if (error || bytes > max_index_bytes) {
    fail_input("{}: not a readable file of at most {} bytes", path.string(), max_index_bytes);
  }
  std::string text(bytes, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(text.data(), static_cast<std::streamsize>(bytes))) {
    fail_input("{}: cannot be read", path.string());
  }
  if (text.starts_with("version https://git-lfs")) {
    fail_input("{}: it is a Git LFS pointer; run `git lfs pull` in the model folder",
               path.string());
  }
  IndexReader reader;
  if (!reader.read(text)) fail_input("{}: bad index: {}", path.string(), reader.error());
  if (!reader.has_weight_map || reader.shard_of.empty()) {
    fail_input("{}: no tensors in \"weight_map\"; an index maps every tensor to its file",
               path.string());
  }
  return std::move(reader.shard_of);
}

/// A plain file name: nothing that an index says may lead out of its folder.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos &&
         name.ends_with(".safetensors");
}

std::unique_ptr<SafetensorsFile> open_shard(const fs::path& folder, const std::string& shard,
                                            const fs::path& index) {
  if (!is_plain_name(shard)) {
    fail_input("{}: names the shard {}, which is not a plain *.safetensors name in this folder",
               index.string(), shown(shard));
  }
  if (!is_there(folder / shard)) {
    fail_input("{}: missing, though {} names it; is the download complete?",
               (folder / shard).string(), index.filename().string());
  }
  return std::make_unique<SafetensorsFile>(folder / shard);
}

/// Every tensor must be in the one shard that the index says; shards that could not be opened are
/// problems already.
void compare_with_index(const std::vector<std::unique_ptr<SafetensorsFile>>& files,
                        const ShardMap& shard_of, const fs::path& index, Problems& problems) {
  const std::string index_name = index.filename().string();
  ShardMap found_in;
  for (const auto& file : files) {
    const std::string shard = file->path().filename().string();
    std::vector<std::string> unlisted;
    for (const auto& [name, tensor] : file->tensors()) {
      const auto [other, first] = found_in.emplace(name, shard);
      if (!first) {
        problems.add("{}: tensor {} is in {} and again in {}", index.parent_path().string(),
                     shown(name), other->second, shard);
      }
      if (!shard_of.contains(name)) unlisted.push_back(name);
    }
    if (!unlisted.empty()) {
      problems.add("{}: holds {} tensor(s) that {} does not list: {}", file->path().string(),
                   unlisted.size(), index_name, listed(unlisted));
    }
  }
  for (const auto& file : files) {
    const std::string shard = file->path().filename().string();
    std::vector<std::string> absent;
    for (const auto& [name, listed_shard] : shard_of) {
      if (listed_shard == shard && !file->tensors().contains(name)) absent.push_back(name);
    }
    if (!absent.empty()) {
      problems.add("{}: lacks {} tensor(s) that {} places in it: {}", file->path().string(),
                   absent.size(), index_name, listed(absent));
    }
  }
}

}  // namespace

TensorFiles::TensorFiles(const fs::path& folder, const std::string& stem) : folder_(folder) {
  const fs::path single = folder / (stem + ".safetensors");
  const fs::path index = folder / (stem + ".safetensors.index.json");
  const bool has_single = is_there(single);
  const bool has_index = is_there(index);
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    fail_input("{}: there is no such folder of weights", folder.string());
  }
  if (!has_single && !has_index) {
    fail_input("{}: no weights: looked for {} and {}; is the download complete?", folder.string(),
               single.filename().string(), index.filename().string());
  }
  const ShardMap shard_of = has_index ? read_index(index) : ShardMap{};
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
  if (!has_index) shards.insert(single.filename().string());
  if (has_single && shards != std::set{single.filename().string()}) {
    fail_input("{}: holds both {} and {}; remove the one that is not meant", folder.string(),
               single.filename().string(), index.filename().string());
  }

  Problems problems;
  for (const auto& shard : shards) {
    problems.collect([&] { files_.push_back(open_shard(folder, shard, index)); });
  }
  if (has_index) compare_with_index(files_, shard_of, index, problems);
  problems.throw_if_any();
  for (const auto& file : files_) {
    for (const auto& [name, tensor] : file->tensors()) by_name_.emplace(name, &tensor);
  }
}

const StoredTensor* TensorFiles::find(const std::string& name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second;
}

std::vector<std::string> TensorFiles::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : by_name_) names.push_back(name);
  return names;
}

std::size_t TensorFiles::total_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : by_name_) bytes += tensor->bytes;
  return bytes;
}

}  // namespace weft
