#pragma once
// Names of jobs that are safe as names of folders.

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "weft/run/job_list.h"

namespace weft {

/// InputError unless `id` has 1-100 characters of A-Z a-z 0-9 . _ - and does not begin with '.'.
void require_id(const std::string& id);

/// ASCII letters and digits of `text`, each run of others as one '-', at most `most` characters
/// and none of the '-' first or last; may be empty.
std::string slug(std::string_view text, std::size_t most);

/// 12 hexadecimal digits over all that decides what is drawn and how.
std::string job_hash(const Job& job);

/// Hands out each name once.
class UniqueIds {
 public:
  void take(const std::string& id) { taken_.insert(id); }
  /// `wanted`, or with the first of -2, -3, ... that nobody has.
  std::string make(const std::string& wanted);

 private:
  std::unordered_set<std::string> taken_;
  // How often a name was wanted, so that 100,000 equal ones do not try 100,000 numbers each.
  std::unordered_map<std::string, std::size_t> times_;
};

/// Gives an id to every job without one.
void name_jobs(std::vector<ListedJob>& jobs);

}  // namespace weft
