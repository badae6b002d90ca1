#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "weft/io/atomic_file.h"
#include "weft/io/video_encoder.h"

#include "ffmpeg_handles.h"
#include "video_target.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_name = 255;  // of ext4, xfs, Lustre and most others
constexpr std::int64_t most_side = 16384;

std::string join(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, " "));
}

// access(2) alone would let root pass on a read-only file system, so the file is tried.
void check_writable(const fs::path& file, const fs::path& folder, Problems& problems) {
  const AtomicPath target(file);
  const int created =
      ::open(target.temporary().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (created < 0) {
    problems.add("--output {}: cannot write into the folder {}: {}", file.string(), folder.string(),
                 std::strerror(errno));
    return;
  }
  ::close(created);  // target removes it
}

// `file`: the (first) file that will be written.
void check_place(const fs::path& file, Container container, Problems& problems) {
  std::error_code error;
  if (fs::is_directory(file, error)) {
    problems.add("--output {}: is a folder; name a file in it", file.string());
    return;
  }
  fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  bool folder_to_be_made = false;
  if (container == Container::png_sequence && !fs::exists(folder, error)) {
    folder_to_be_made = true;
    folder = folder.has_parent_path() ? folder.parent_path() : fs::path(".");
  }
  if (!fs::exists(folder, error)) {
    problems.add("--output {}: the folder {} does not exist; make it or name another",
                 file.string(), folder.string());
    return;
  }
  if (!fs::is_directory(folder, error)) {
    problems.add("--output {}: {} is not a folder", file.string(), folder.string());
    return;
  }
  const fs::path tried = folder_to_be_made ? folder / file.filename() : file;
  const fs::path temporary = AtomicPath(tried).temporary().filename();
  if (temporary.string().size() > longest_name) {
    problems.add(
        "--output {}: the file name has {} bytes; at most {} leave room for the "
        "temporary name",
        file.string(), file.filename().string().size(),
        longest_name + file.filename().string().size() - temporary.string().size());
    return;
  }
  check_writable(tried, folder, problems);
}

void check_path(const fs::path& path, Problems& problems) {
  if (!path.has_filename()) {
    problems.add("--output '{}': name a file: {}", path.string(), known_extensions);
    return;
  }
  const auto container = container_of(path);
  if (!container) {
    problems.add("--output {}: unknown extension '{}'; known are {}", path.string(),
                 path.extension().string(), known_extensions);
  }
  fs::path file = path;
  if (container == Container::png_sequence) {
    const auto name = parse_frame_name(path.filename().string());
    if (const auto* problem = std::get_if<std::string>(&name)) {
      problems.add("--output {}: {}", path.string(), *problem);
    } else {
      file = path.parent_path() / std::get<FrameName>(name).at(0);
    }
  }
  check_place(file, container.value_or(Container::mp4), problems);
}

void check_codec(const std::optional<Container>& container, const VideoOptions& options,
                 Problems& problems) {
  const std::string& codec = options.codec;
  if (codec != "auto" && codec != "ffv1") {
    problems.add("--codec {}: unknown; known are auto (x264) and ffv1 (lossless, in .mkv)", codec);
  }
  if (codec == "ffv1" && container && container != Container::mkv) {
    problems.add(
        "--codec ffv1: only .mkv holds it; change the extension of --output to .mkv or "
        "leave --codec away");
  }
  const bool x264 = codec == "auto" && (container == Container::mp4 ||
                                        container == Container::mov || container == Container::mkv);
  if (x264 && avcodec_find_encoder_by_name("libx264") == nullptr) {
    problems.add(
        "--codec auto: this FFmpeg was built without libx264; install one that has it, or "
        "choose --codec ffv1 with .mkv");
  }
  if (codec == "ffv1" && avcodec_find_encoder(AV_CODEC_ID_FFV1) == nullptr) {
    problems.add("--codec ffv1: this FFmpeg was built without FFV1; install one that has it");
  }
  if (container == Container::png_sequence && avcodec_find_encoder(AV_CODEC_ID_PNG) == nullptr) {
    problems.add("--output: this FFmpeg was built without its PNG encoder; choose .mp4 or .mkv");
  }
  if (options.crf < 0 || options.crf > 51) {
    problems.add("--crf {}: outside 0 (lossless) ... 51 (worst)", options.crf);
  }
  const auto& presets = x264_presets();
  if (std::find(presets.begin(), presets.end(), options.preset) == presets.end()) {
    problems.add("--preset {}: unknown; known are {}", options.preset, join(presets));
  }
}

void check_picture(const std::optional<Container>& container, const VideoOptions& options,
                   Problems& problems) {
  const auto& formats = video_pixel_formats();
  const std::string& format = options.pix_fmt;
  if (std::find(formats.begin(), formats.end(), format) == formats.end()) {
    problems.add("--pix-fmt {}: unknown; known are {}", format, join(formats));
  }
  for (const auto& [flag, size] :
       {std::pair{"--width", options.width}, {"--height", options.height}}) {
    if (size < 1 || size > most_side) {
      problems.add("{} {}: outside 1 ... {}, which the encoders hold", flag, size, most_side);
    }
  }
  const bool rgb = container == Container::png_sequence || options.codec == "ffv1";
  const bool odd_width = options.width % 2 != 0, odd_height = options.height % 2 != 0;
  if (!rgb &&
      ((format == "yuv420p" && (odd_width || odd_height)) || (format == "yuv422p" && odd_width))) {
    problems.add(
        "--pix-fmt {}: {}x{} has an odd side, and this format stores colour for pairs of "
        "pixels; choose --pix-fmt yuv444p or an even --width and --height",
        format, options.width, options.height);
  }
  if (!std::isfinite(options.fps) || options.fps < 0.001 || options.fps > 1000) {
    problems.add("--fps {}: outside 0.001 ... 1000", options.fps);
  }
}

}  // namespace

void check_video_output(const fs::path& path, const VideoOptions& options, Problems& problems) {
  const auto container = container_of(path);
  check_path(path, problems);
  check_codec(container, options, problems);
  check_picture(container, options, problems);
}

}  // namespace weft
