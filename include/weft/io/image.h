#pragma once
// Still images through FFmpeg's libraries.

#include <cstdint>
#include <filesystem>
#include <vector>

namespace weft {

struct Image {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> rgb;  // [height, width, 3]
};

/// Decodes PNG, JPEG, WebP, BMP ... to 8-bit RGB (alpha dropped, EXIF rotation ignored). InputError
/// names the file for anything unreadable, truncated or larger than 16384 pixels a side.
Image read_image(const std::filesystem::path& path);

/// Writes a PNG under a temporary name, then renames it.
void write_png(const std::filesystem::path& path, const Image& image);

/// Pillow's Image.resize(..., LANCZOS): separable, support 3 scaled by the reduction, 22-bit fixed
/// point coefficients, 8-bit rounding between the passes; equal to Pillow byte for byte.
Image resize_lanczos(const Image& image, std::int64_t width, std::int64_t height);

}  // namespace weft
