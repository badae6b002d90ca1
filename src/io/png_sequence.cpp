#include "png_sequence.h"

#include <system_error>

namespace weft {
namespace fs = std::filesystem;

PngSequence::PngSequence(const fs::path& path, const VideoOptions& options)
    : folder_(path.has_parent_path() ? path.parent_path() : fs::path(".")),
      name_(std::get<FrameName>(parse_frame_name(path.filename().string()))),
      png_(static_cast<int>(options.width), static_cast<int>(options.height)) {
  std::error_code error;
  made_folder_ = fs::create_directory(folder_, error);
  if (error) fail("cannot make the folder {}: {}", folder_.string(), error.message());
}

PngSequence::~PngSequence() {
  if (finished_) return;
  std::error_code ignored;  // the error that ended the run has been reported
  for (std::int64_t i = 0; i < frames_; ++i) fs::remove(folder_ / name_.at(i), ignored);
  if (made_folder_) fs::remove(folder_, ignored);  // only when empty
}

void PngSequence::write(std::span<const std::uint8_t> rgb) {
  WEFT_ASSERT(!finished_, "a frame after finish()");
  png_.write(folder_ / name_.at(frames_), rgb);
  ++frames_;
}

void PngSequence::finish() {
  WEFT_ASSERT(!finished_, "finish() called twice");
  if (frames_ == 0) fail("{}: no frame was written", (folder_ / name_.at(0)).string());
  finished_ = true;
}

}  // namespace weft
