#include "weft/io/clip_comparison.h"

#include <algorithm>

#include "weft/base/error.h"
#include "weft/io/picture_quality.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Frame = ClipComparison::Frame;

/// A clip that is read, and measured if this build can.
struct Source {
  fs::path path;
  std::unique_ptr<ClipReader> reader;
  std::optional<FlowMeter> meter;
  std::int64_t frames = 0;

  std::optional<Image> next() {
    std::optional<Image> frame = reader->next();
    if (!frame) return frame;
    ++frames;
    if (meter) meter->add(frame->rgb);
    return frame;
  }
  /// To the end, without measuring.
  void count_rest() {
    while (reader->next()) ++frames;
  }
  [[nodiscard]] std::string size() const {
    return fmt::format("{} x {}", reader->info().width, reader->info().height);
  }
  [[nodiscard]] ClipComparison::Clip result() const {
    ClipComparison::Clip clip{
        .path = path, .info = reader->info(), .flow = {}, .warping_error = {}};
    if (meter) {
      clip.flow = meter->steps();
      clip.warping_error = meter->warping_error();
    }
    return clip;
  }
};

Source open(const fs::path& path, Problems& problems) {
  Source source;
  source.path = path;
  problems.collect([&] {
    source.reader = open_clip(path);
    const ClipInfo& info = source.reader->info();
    if (FlowMeter::available()) source.meter.emplace(info.width, info.height);
  });
  return source;
}

void check_lengths(const Source& a, const Source& b, std::optional<std::int64_t> asked,
                   Problems& problems) {
  if (!asked && a.frames != b.frames) {
    problems.add("{} has {} frames, {} has {}: --frames {} compares their common beginning",
                 a.path.string(), a.frames, b.path.string(), b.frames,
                 std::max<std::int64_t>(std::min(a.frames, b.frames), 1));
  }
  for (const Source* s : {&a, &b}) {
    if (s->frames == 0) problems.add("{}: no frames", s->path.string());
    if (asked && s->frames < *asked) {
      problems.add("{} has {} frames, and --frames asks for {}", s->path.string(), s->frames,
                   *asked);
    }
  }
}

/// What can be said of two clips whose sizes differ.
void check_sizes(Source& a, Source& b, std::optional<std::int64_t> asked, Problems& problems) {
  if (a.size() == b.size()) return;
  problems.add("{} has {} pixels, {} has {}: frames of one size are needed", a.path.string(),
               a.size(), b.path.string(), b.size());
  problems.collect([&] {
    a.count_rest();
    b.count_rest();
    check_lengths(a, b, asked, problems);
  });
  problems.throw_if_any();
}

}  // namespace

ClipComparison compare_clips(const fs::path& a_path, const fs::path& b_path,
                             std::optional<std::int64_t> frames) {
  Problems problems;
  Source a = open(a_path, problems), b = open(b_path, problems);
  problems.throw_if_any();
  check_sizes(a, b, frames, problems);
  ClipComparison made;
  while (!frames || a.frames < *frames) {
    const auto image_a = a.next(), image_b = b.next();
    if (!image_a || !image_b) break;
    made.frames.push_back({mean_squared_error(image_a->rgb, image_b->rgb),
                           ssim(image_a->rgb, image_b->rgb, image_a->width, image_a->height)});
  }
  if (!frames) {
    a.count_rest();
    b.count_rest();
  }
  check_lengths(a, b, frames, problems);
  problems.throw_if_any();
  made.a = a.result();
  made.b = b.result();
  return made;
}

double ClipComparison::mse() const {
  double sum = 0;
  for (const Frame& frame : frames) sum += frame.mse;
  return sum / static_cast<double>(frames.size());
}

std::int64_t ClipComparison::differing() const {
  return std::ranges::count_if(frames, [](const Frame& frame) { return frame.mse != 0; });
}

double ClipComparison::least_psnr() const {
  return psnr(std::ranges::max(frames, {}, &Frame::mse).mse);
}

std::optional<double> ClipComparison::mean_psnr() const {
  if (identical()) return std::nullopt;
  double sum = 0;
  for (const Frame& frame : frames) sum += frame.mse == 0 ? 0 : psnr(frame.mse);
  return sum / static_cast<double>(differing());
}

std::optional<double> ClipComparison::mean_ssim() const {
  double sum = 0;
  for (const Frame& frame : frames) {
    if (!frame.ssim) return std::nullopt;
    sum += *frame.ssim;
  }
  return sum / static_cast<double>(frames.size());
}

std::optional<double> ClipComparison::least_ssim() const {
  return std::ranges::min(frames, {}, &Frame::ssim).ssim;
}

}  // namespace weft
