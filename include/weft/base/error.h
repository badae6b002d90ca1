#pragma once
// Errors with context. Bad input is an InputError (exit code 2) that lists every problem at once;
// anything else that stops a run is an Error (exit code 1); a broken invariant is WEFT_ASSERT.

#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace weft {

/// A failure of this run: the message says what, where, and how to mend it.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what);  // appends the active ScopedContext chain
};

/// Bad usage or bad input, found before anything is computed. Exit code 2.
class InputError : public Error {
 public:
  explicit InputError(std::vector<std::string> problems);
  explicit InputError(std::string problem);
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

 private:
  std::vector<std::string> problems_;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_input(fmt::format_string<Args...> format, Args&&... args) {
  throw InputError(fmt::format(format, std::forward<Args>(args)...));
}

/// Collects every problem of a job so that a user mends them in one go.
class Problems {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    list_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  /// Runs `f`; an InputError it throws is added to the list instead of escaping.
  template <class F>
  void collect(F&& f) {
    try {
      f();
    } catch (const InputError& e) {
      list_.insert(list_.end(), e.problems().begin(), e.problems().end());
    } catch (const Error& e) {
      list_.emplace_back(e.what());
    }
  }
  [[nodiscard]] bool empty() const { return list_.empty(); }
  [[nodiscard]] const std::vector<std::string>& list() const { return list_; }
  void throw_if_any() const {
    if (!list_.empty()) throw InputError(list_);
  }

 private:
  std::vector<std::string> list_;
};

/// Names what is being done ("window 12, step 7"); every Error made inside carries it.
class ScopedContext {
 public:
  explicit ScopedContext(std::string what);
  ~ScopedContext();
  ScopedContext(const ScopedContext&) = delete;
  ScopedContext& operator=(const ScopedContext&) = delete;
};

/// The known name nearest to `unknown` by edit distance, or "" when none is near.
std::string nearest_name(const std::string& unknown, const std::vector<std::string>& known);

[[noreturn]] void assertion_failed(const char* condition, const std::string& message,
                                   std::source_location where);

}  // namespace weft

/// Always on: a broken invariant is a bug, and computing on would give wrong pictures.
#define WEFT_ASSERT(condition, ...)                                                                \
  (static_cast<bool>(condition) ? static_cast<void>(0)                                             \
                                : ::weft::assertion_failed(#condition, ::fmt::format(__VA_ARGS__), \
                                                           std::source_location::current()))
