#include "weft/base/error.h"

#include <algorithm>

namespace weft {
namespace {

thread_local std::vector<std::string> context;

std::string with_context(std::string text) {
  for (auto it = context.rbegin(); it != context.rend(); ++it) text += "\n  while " + *it;
  return text;
}

std::string join(const std::vector<std::string>& problems) {
  std::string text;
  for (const auto& p : problems) text += (text.empty() ? "" : "\n") + p;
  return text;
}

}  // namespace

Error::Error(const std::string& what) : std::runtime_error(with_context(what)) {}

InputError::InputError(std::vector<std::string> problems)
    : Error(join(problems)), problems_(std::move(problems)) {}
InputError::InputError(std::string problem) : InputError(std::vector{std::move(problem)}) {}

ScopedContext::ScopedContext(std::string what) { context.push_back(std::move(what)); }
ScopedContext::~ScopedContext() { context.pop_back(); }

namespace {

// Letters inserted, dropped, replaced or swapped with their neighbour.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  // d[i][j]: distance of the first i letters of a and the first j of b.
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = d[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string nearest_name(const std::string& unknown, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, unknown.size() / 2);
  for (const auto& name : known) {
    const std::size_t distance = edit_distance(unknown, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

void assertion_failed(const char* condition, const std::string& message,
                      std::source_location where) {
  throw Error(fmt::format("bug in weft: {} at {}:{} ({}): {}", condition, where.file_name(),
                          where.line(), where.function_name(), message));
}

}  // namespace weft
