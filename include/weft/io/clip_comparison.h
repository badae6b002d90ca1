#pragma once
// Two clips, frame by frame: how near they are, and how consistent each is in time.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "weft/io/clip_reader.h"
#include "weft/io/flow_meter.h"

namespace weft {

struct ClipComparison {
  struct Clip {
    std::filesystem::path path;
    ClipInfo info;
    std::vector<FlowMeter::Step> flow;    // of frames 1, 2, ...; empty where it is not measured
    std::optional<double> warping_error;  // io/flow_meter.h
  };
  struct Frame {
    double mse = 0;  // io/picture_quality.h, of the decoded 8-bit RGB
    std::optional<double> ssim;
  };
  Clip a, b;
  std::vector<Frame> frames;

  /// All bytes of all frames are equal.
  [[nodiscard]] bool identical() const { return mse() == 0; }
  /// Over all frames.
  [[nodiscard]] double mse() const;
  /// Frames that differ at all.
  [[nodiscard]] std::int64_t differing() const;
  /// Decibels: the least of a frame (infinite when identical), and the mean over the frames that
  /// differ (nothing when none does): a frame without error has an infinite one.
  [[nodiscard]] double least_psnr() const;
  [[nodiscard]] std::optional<double> mean_psnr() const;
  /// Over frames; nothing where frames are too small for a window.
  [[nodiscard]] std::optional<double> mean_ssim() const, least_ssim() const;
};

/// Compares all frames, or the first `frames`. InputError, naming both clips: a clip that cannot be
/// read, sizes or numbers of frames that differ, a clip shorter than `frames`.
ClipComparison compare_clips(const std::filesystem::path& a, const std::filesystem::path& b,
                             std::optional<std::int64_t> frames);

/// All of it; null for an infinite PSNR and for what was not measured.
std::string comparison_json(const ClipComparison& comparison);
/// One line a frame, under a header; "inf" for an infinite PSNR, empty for what was not measured.
std::string comparison_csv(const ClipComparison& comparison);

}  // namespace weft
