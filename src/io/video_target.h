#pragma once
// What kind of video a path asks for.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace weft {

enum class Container { mp4, mov, mkv, y4m, png_sequence };

/// By extension, in either case of letters; nothing for an unknown one.
std::optional<Container> container_of(const std::filesystem::path& path);

/// FFmpeg's name of the muxer; not for png_sequence.
const char* muxer_of(Container container);

/// A file name with one printf integer conversion: "%05d.png".
struct FrameName {
  std::string before, after;
  bool zero_padded = false;
  int digits = 0;

  [[nodiscard]] std::string at(std::int64_t frame) const;
};

/// The frame name in `file_name`, or what is wrong with it.
std::variant<FrameName, std::string> parse_frame_name(const std::string& file_name);

inline constexpr const char* known_extensions =
    ".mp4 .mov .mkv .y4m, or .png with a frame number such as out/%05d.png";

const std::vector<std::string>& x264_presets();
const std::vector<std::string>& video_pixel_formats();

}  // namespace weft
