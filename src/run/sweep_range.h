#pragma once
// The numbers of { from, to, step } and { from, to, count }.

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

constexpr std::int64_t most_points = 100'000;

/// from, from + step, ... as far as `to`. InputError: what is wrong with them.
std::vector<std::string> stepped_range(double from, double to, double step);
/// `count` numbers from `from` to `to`, both included. InputError: what is wrong with them.
std::vector<std::string> counted_range(double from, double to, std::int64_t count);

}  // namespace weft
