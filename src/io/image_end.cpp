#include "image_end.h"

#include <cstdint>

namespace weft {
namespace {

using namespace std::string_view_literals;

std::size_t byte_at(std::string_view file, std::size_t i) {
  return static_cast<unsigned char>(file[i]);
}

// From marker to marker: each segment states its length, except that coded data follow a scan's
// header. Searching for the end's two bytes would find those of an EXIF thumbnail.
bool jpeg_ends(std::string_view file) {
  constexpr std::size_t start_of_image = 0xD8, end_of_image = 0xD9;
  const auto stands_alone = [](std::size_t marker) {  // stuffing, TEM, restarts, start of image
    return marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= start_of_image);
  };
  std::size_t i = 0;
  while (i + 1 < file.size()) {
    if (byte_at(file, i) != 0xFF) {
      ++i;  // coded data
      continue;
    }
    const std::size_t marker = byte_at(file, i + 1);
    if (marker == end_of_image) return true;
    if (marker == 0xFF) {
      ++i;  // fill byte
    } else if (stands_alone(marker)) {
      i += 2;
    } else {
      if (i + 3 >= file.size()) return false;
      i += 2 + (byte_at(file, i + 2) << 8 | byte_at(file, i + 3));
    }
  }
  return false;
}

bool bmp_ends(std::string_view file) {
  if (file.size() < 6) return false;
  std::size_t stated = 0;
  for (std::size_t i = 6; i-- > 2;) stated = stated << 8 | byte_at(file, i);
  return stated <= file.size();
}

}  // namespace

bool has_its_end(AVCodecID codec, std::string_view file) {
  switch (codec) {
    case AV_CODEC_ID_PNG:
      return file.rfind("IEND"sv) != std::string_view::npos;
    case AV_CODEC_ID_MJPEG:
      return jpeg_ends(file);
    case AV_CODEC_ID_GIF:
      return file.ends_with("\0;"sv);
    case AV_CODEC_ID_BMP:
      return bmp_ends(file);
    default:
      return true;
  }
}

}  // namespace weft
