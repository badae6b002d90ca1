#pragma once
// The problems of one file with as many lines as it likes: the first are listed, the rest counted.

#include <cstddef>
#include <string>
#include <string_view>

#include "weft/base/error.h"

namespace weft {

class CappedProblems {
 public:
  static constexpr std::size_t most = 50;

  CappedProblems(std::string file, Problems& problems)
      : file_(std::move(file)), problems_(problems) {}

  /// "FILE:LINE: MESSAGE", made fit for a terminal; line 0: of the file as a whole.
  void add(std::size_t line, std::string_view message);
  /// Runs `f` and adds what an InputError says, each for this line.
  template <class F>
  void collect(std::size_t line, F&& f) {
    try {
      f();
    } catch (const InputError& e) {
      for (const std::string& problem : e.problems()) add(line, problem);
    }
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  /// More are only counted: no need to word them.
  [[nodiscard]] bool full() const { return count_ >= most; }
  /// Once, at the end: "FILE: ... and N more".
  void close();

 private:
  std::string file_;
  Problems& problems_;
  std::size_t count_ = 0;
};

}  // namespace weft
