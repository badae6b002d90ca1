#pragma once
// A grid of frames in one picture: people look before they play.

#include <cstdint>
#include <span>
#include <vector>

#include "weft/io/image.h"

namespace weft {

/// Collects evenly spaced frames of a stream of known length; holds only those it shows.
class ContactSheet {
 public:
  ContactSheet(std::int64_t width, std::int64_t height, std::int64_t frames, int most_shown = 12);
  /// Frame `index` of the clip, rgb24; frames that are not shown are ignored.
  void add(std::int64_t index, std::span<const std::uint8_t> rgb);
  /// Frames in reading order, each at most 320 pixels wide, 4 pixels apart on dark grey.
  [[nodiscard]] Image picture() const;

 private:
  std::int64_t width_, height_;
  std::vector<std::int64_t> shown_;  // frame indices
  std::vector<Image> frames_;        // one per shown index
};

}  // namespace weft
