#pragma once
// Still images through FFmpeg's libraries.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace weft {

struct Image {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> rgb;  // [height, width, 3]
};

/// Decodes PNG, JPEG, WebP, BMP, TIFF, the first picture of a GIF ... to 8-bit RGB: alpha is
/// dropped, 16 bits keep the upper 8, EXIF rotation is ignored. The contents decide, not the name,
/// and no other file and no network is touched. InputError names the file for anything unreadable,
/// truncated or larger than 16384 pixels a side or 2^27 (134 million) pixels.
Image read_image(const std::filesystem::path& path);

/// Writes a PNG under a temporary name, then renames it.
void write_png(const std::filesystem::path& path, const Image& image);

/// "data:image/png;base64,...": the picture as text, for a page that holds everything itself.
std::string png_data_uri(const Image& image);

/// Pillow's Image.resize(..., LANCZOS): separable, support 3 scaled by the reduction, 22-bit fixed
/// point coefficients, rows before columns with 8-bit rounding between; equal byte for byte to
/// Pillow up to 12 (Pillow 13 takes columns first for some sizes, where bytes then differ by 1 or
/// so).
Image resize_lanczos(const Image& image, std::int64_t width, std::int64_t height);

}  // namespace weft
