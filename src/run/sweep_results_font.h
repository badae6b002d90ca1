#pragma once
// Short texts on a picture.

#include <string>
#include <vector>

#include "weft/io/image.h"

namespace weft {

/// Pixels from letter to letter and from line to line, at scale 1.
inline constexpr std::int64_t letter_width = 6, line_height = 10;

/// Light grey letters; what lies outside the picture is left away. Anything but ASCII becomes '?'.
void draw_text(Image& image, std::int64_t left, std::int64_t top, const std::string& text,
               int scale);

/// The text in lines of at most `letters`, broken between words where that fits; ".." where it is
/// cut after `lines`.
std::vector<std::string> wrapped(const std::string& text, std::size_t letters, std::size_t lines);

}  // namespace weft
