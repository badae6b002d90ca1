#include "weft/grid/box.h"

#include <algorithm>

#include <fmt/format.h>

namespace weft {

std::int64_t Box::cells() const { return frames().size() * rows().size() * cols().size(); }

bool Box::contains(const Box& inner) const {
  return std::equal(
      axis.begin(), axis.end(), inner.axis.begin(),
      [](const Range& a, const Range& b) { return a.begin <= b.begin && b.end <= a.end; });
}

std::string Box::str() const {
  return fmt::format("frames {}-{}, rows {}-{}, cols {}-{}", frames().begin, frames().end - 1,
                     rows().begin, rows().end - 1, cols().begin, cols().end - 1);
}

Box whole(std::int64_t frames, std::int64_t rows, std::int64_t cols) {
  return Box{{Range{0, frames}, Range{0, rows}, Range{0, cols}}};
}

std::optional<Box> intersect(const Box& a, const Box& b) {
  Box common;
  for (std::size_t i = 0; i < 3; ++i) {
    common.axis[i] = {std::max(a.axis[i].begin, b.axis[i].begin),
                      std::min(a.axis[i].end, b.axis[i].end)};
    if (common.axis[i].size() <= 0) return std::nullopt;
  }
  return common;
}

}  // namespace weft
