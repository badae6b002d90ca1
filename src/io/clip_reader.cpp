#include "weft/io/clip_reader.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

#include "weft/base/error.h"
#include "weft/io/video_reader.h"

#include "video_target.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

/// Metrics over frames of different sizes would mean nothing.
void check_size(const Image& frame, const ClipInfo& info, const fs::path& path,
                std::int64_t index) {
  if (frame.width == info.width && frame.height == info.height) return;
  fail_input("{}: frame {} has {} x {} pixels, the first has {} x {}", path.string(), index,
             frame.width, frame.height, info.width, info.height);
}

class VideoFile final : public ClipReader {
 public:
  explicit VideoFile(const fs::path& path) : path_(path), reader_(path) {
    const VideoInfo& video = reader_.info();
    info_ = {video.width, video.height, video.fps, video.codec + ", " + video.pix_fmt};
  }
  [[nodiscard]] const ClipInfo& info() const override { return info_; }
  std::optional<Image> next() override {
    std::optional<Image> frame = reader_.next();
    if (frame) check_size(*frame, info_, path_, index_++);
    return frame;
  }

 private:
  fs::path path_;
  VideoReader reader_;
  ClipInfo info_;
  std::int64_t index_ = 0;
};

class PngFiles final : public ClipReader {
 public:
  explicit PngFiles(std::vector<fs::path> files) : files_(std::move(files)) {
    first_ = read_image(files_.front());
    info_ = {first_->width, first_->height, 0, "PNG files"};
  }
  [[nodiscard]] const ClipInfo& info() const override { return info_; }
  std::optional<Image> next() override {
    if (index_ == files_.size()) return std::nullopt;
    const fs::path& file = files_[index_];
    Image frame = index_ == 0 ? std::move(*first_) : read_image(file);
    check_size(frame, info_, file, static_cast<std::int64_t>(index_++));
    return frame;
  }

 private:
  std::vector<fs::path> files_;
  std::optional<Image> first_;
  ClipInfo info_;
  std::size_t index_ = 0;
};

std::vector<fs::path> files_of_pattern(const fs::path& path) {
  const auto name = parse_frame_name(path.filename().string());
  if (const auto* problem = std::get_if<std::string>(&name)) {
    fail_input("{}: {}", path.string(), *problem);
  }
  std::vector<fs::path> files;
  for (;;) {
    const auto number = static_cast<std::int64_t>(files.size());
    fs::path file = path.parent_path() / std::get<FrameName>(name).at(number);
    if (!fs::exists(file)) {
      if (number == 0) fail_input("{}: no first frame, {}", path.string(), file.string());
      return files;
    }
    files.push_back(std::move(file));
  }
}

using Numbered = std::map<std::int64_t, fs::path>;

/// The PNG files whose names end in a number, by what stands before it.
std::map<std::string, Numbered> numbered_files(const fs::path& folder) {
  std::map<std::string, Numbered> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file() || container_of(entry.path()) != Container::png_sequence) continue;
    const std::string stem = entry.path().stem().string();
    const std::size_t digits = stem.find_last_not_of("0123456789") + 1;  // npos + 1 is 0
    std::int64_t number = 0;
    const char* end = stem.data() + stem.size();
    const auto parsed = std::from_chars(stem.data() + digits, end, number);
    if (parsed.ec != std::errc() || stem.starts_with('.')) continue;  // a temporary of a writer
    fs::path& file = found[stem.substr(0, digits)][number];
    if (!file.empty()) {
      fail_input("{}: {} and {} have the same number", folder.string(), file.filename().string(),
                 entry.path().filename().string());
    }
    file = entry.path();
  }
  return found;
}

std::vector<fs::path> files_of_folder(const fs::path& folder) {
  const auto found = numbered_files(folder);
  if (found.empty()) {
    fail_input("{}: a folder without numbered PNG files such as 00000.png", folder.string());
  }
  if (found.size() > 1) {
    std::vector<std::string> names;
    for (const auto& [name, files] : found) {
      names.push_back(files.begin()->second.filename().string());
    }
    fail_input("{}: PNG files of several clips ({}): name one such as {}/%05d.png", folder.string(),
               fmt::join(names, ", "), folder.string());
  }
  std::vector<fs::path> files;
  std::int64_t expected = found.begin()->second.begin()->first;
  for (const auto& [number, file] : found.begin()->second) {
    if (number != expected++) {
      fail_input("{}: frame {} is missing before {}", folder.string(), expected - 1,
                 file.filename().string());
    }
    files.push_back(file);
  }
  return files;
}

}  // namespace

std::unique_ptr<ClipReader> open_clip(const fs::path& path) {
  std::error_code ignored;
  const auto status = fs::status(path, ignored);
  if (fs::is_directory(status)) return std::make_unique<PngFiles>(files_of_folder(path));
  const bool named_by_number = path.filename().string().find('%') != std::string::npos;
  if (!fs::exists(status) && named_by_number && container_of(path) == Container::png_sequence) {
    return std::make_unique<PngFiles>(files_of_pattern(path));
  }
  return std::make_unique<VideoFile>(path);
}

}  // namespace weft
