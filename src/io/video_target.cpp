#include "video_target.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "weft/base/error.h"

namespace weft {

std::optional<Container> container_of(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".mp4") return Container::mp4;
  if (extension == ".mov") return Container::mov;
  if (extension == ".mkv") return Container::mkv;
  if (extension == ".y4m") return Container::y4m;
  if (extension == ".png") return Container::png_sequence;
  return std::nullopt;
}

const char* muxer_of(Container container) {
  switch (container) {
    case Container::mp4:
      return "mp4";
    case Container::mov:
      return "mov";
    case Container::mkv:
      return "matroska";
    case Container::y4m:
      return "yuv4mpegpipe";
    case Container::png_sequence:
      break;
  }
  WEFT_ASSERT(false, "a PNG sequence has no muxer");
  return nullptr;
}

std::string FrameName::at(std::int64_t frame) const {
  return zero_padded ? fmt::format("{}{:0{}}{}", before, frame, digits, after)
                     : fmt::format("{}{:{}}{}", before, frame, digits, after);
}

std::variant<FrameName, std::string> parse_frame_name(const std::string& file_name) {
  FrameName name;
  int conversions = 0;
  for (std::size_t i = 0; i < file_name.size(); ++i) {
    std::string& literal = conversions == 0 ? name.before : name.after;
    if (file_name[i] != '%') {
      literal += file_name[i];
      continue;
    }
    if (file_name.compare(i, 2, "%%") == 0) {
      literal += '%';
      ++i;
      continue;
    }
    const std::size_t start = i++;
    name.zero_padded = i < file_name.size() && file_name[i] == '0';
    name.digits = 0;
    for (; i < file_name.size() && std::isdigit(static_cast<unsigned char>(file_name[i])); ++i) {
      name.digits = std::min(name.digits * 10 + (file_name[i] - '0'), 1000);
    }
    if (i >= file_name.size() || file_name[i] != 'd') {
      return fmt::format(
          "'{}' is not a frame number; write one like %05d, and %% for a percent sign",
          file_name.substr(start, i - start + 1));
    }
    ++conversions;
  }
  if (conversions != 1) {
    return fmt::format("{} frame numbers in '{}'; one is needed, such as %05d.png",
                       conversions == 0 ? "no" : std::to_string(conversions), file_name);
  }
  return name;
}

const std::vector<std::string>& x264_presets() {
  static const std::vector<std::string> names{"ultrafast", "superfast", "veryfast", "faster",
                                              "fast",      "medium",    "slow",     "slower",
                                              "veryslow",  "placebo"};
  return names;
}

const std::vector<std::string>& video_pixel_formats() {
  static const std::vector<std::string> names{"yuv420p", "yuv422p", "yuv444p"};
  return names;
}

}  // namespace weft
