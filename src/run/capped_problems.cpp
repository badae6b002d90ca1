#include "capped_problems.h"

#include "job_values.h"

namespace weft {

void CappedProblems::add(std::size_t line, std::string_view message) {
  ++count_;
  if (count_ > most) return;
  const std::string shown = printable(message);
  if (line == 0) {
    problems_.add("{}: {}", file_, shown);
  } else {
    problems_.add("{}:{}: {}", file_, line, shown);
  }
}

void CappedProblems::close() {
  if (count_ > most) problems_.add("{}: ... and {} more", file_, count_ - most);
}

}  // namespace weft
