#include "weft/base/error.h"

#include <algorithm>
#include <numeric>

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

std::string nearest_name(const std::string& unknown, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, unknown.size() / 2);
  for (const auto& name : known) {
    // Edit distance by rows (Levenshtein).
    std::vector<std::size_t> row(name.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= unknown.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= name.size(); ++j) {
        const std::size_t substituted = diagonal + (unknown[i - 1] != name[j - 1] ? 1 : 0);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
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
