#pragma once
// Boxes of the latent volume: half-open ranges over (frames, rows, columns). Integers only.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace weft {

struct Range {
  std::int64_t begin = 0, end = 0;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
  friend bool operator==(const Range&, const Range&) = default;
};

/// A box of cells: axis 0 latent frames, 1 rows, 2 columns.
struct Box {
  std::array<Range, 3> axis;
  [[nodiscard]] const Range& frames() const { return axis[0]; }
  [[nodiscard]] const Range& rows() const { return axis[1]; }
  [[nodiscard]] const Range& cols() const { return axis[2]; }
  [[nodiscard]] std::int64_t cells() const;
  [[nodiscard]] bool contains(const Box& inner) const;
  [[nodiscard]] std::string str() const;  // "frames 0-20, rows 0-59, cols 0-103" (inclusive)
  friend bool operator==(const Box&, const Box&) = default;
};

Box whole(std::int64_t frames, std::int64_t rows, std::int64_t cols);
/// The common part, or nothing.
std::optional<Box> intersect(const Box& a, const Box& b);

}  // namespace weft
