#include "job_list_ids.h"

#include <algorithm>
#include <cstdint>

#include "weft/base/hash.h"

namespace weft {
namespace {

constexpr std::size_t longest_id = 100;

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Adds a part; parts are told apart by a NUL, which none holds.
void add_part(Fnv& hash, std::string_view part) {
  hash.add(part);
  hash.add(std::string_view("\0", 1));
}

// Where and how fast a job runs, when it stops, and where it writes do not make it another one.
bool decides_clip(const JobKey& key) {
  const std::string_view name = key.name, group = key.group;
  const bool machine = group == "Machine" && name != "precision";
  return !machine && !group.starts_with("Stopping") && name != "output" && name != "record";
}

// One spelling of a path, from wherever the list was named.
std::string plain_path(const std::string& text) {
  const std::filesystem::path path = std::filesystem::absolute(text).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).string();
}

}  // namespace

void require_id(const std::string& id) {
  const bool sound = std::ranges::all_of(
      id, [](char c) { return letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
  if (sound && !id.empty() && id.size() <= longest_id && id.front() != '.') return;
  fail_input("id: \"{}\" is not 1 to {} of A-Z a-z 0-9 . _ - that do not begin with .", id,
             longest_id);
}

std::string slug(std::string_view text, std::size_t most) {
  std::string made;
  for (const char c : text) {
    if (made.size() >= most) break;
    if (letter_or_digit(c)) {
      made += c;
    } else if (!made.empty() && made.back() != '-') {
      made += '-';
    }
  }
  if (made.ends_with('-')) made.pop_back();
  return made;
}

std::string job_hash(const Job& job) {
  static const Job untouched;
  Fnv hash;
  for (const JobKey& key : job_keys()) {
    if (!decides_clip(key)) continue;
    std::string text = key.get(job);
    // Keys as they are by default are left out, so that a new key gives no old job another name.
    if (text == key.get(untouched)) continue;
    add_part(hash, key.name);
    add_part(hash, key.type == JobValue::path && !text.empty() ? plain_path(text) : text);
  }
  return fmt::format("{:012x}", hash.value() >> 16U);
}

std::string UniqueIds::make(const std::string& wanted) {
  for (;;) {
    const std::size_t n = ++times_[wanted];
    std::string id = n == 1 ? wanted : fmt::format("{}-{}", wanted, n);
    if (taken_.insert(id).second) return id;
  }
}

void name_jobs(std::vector<ListedJob>& jobs) {
  UniqueIds ids;
  for (const ListedJob& listed : jobs) {
    if (!listed.id.empty()) ids.take(listed.id);
  }
  for (ListedJob& listed : jobs) {
    if (!listed.id.empty()) continue;
    const std::string text = slug(listed.job.prompt, 40);
    listed.id = ids.make((text.empty() ? "clip" : text) + "-" + job_hash(listed.job));
  }
}

}  // namespace weft
