#pragma once
// The stages of a job, spelled once: log lines, the closing table, profiler ranges and the run
// record all use these names. A Profile belongs to one rank; spans may nest (the inner one counts
// for its own stage only, so that the columns of the table add up).

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

enum class Stage : std::uint8_t {
  load,
  encode_text,
  encode_image,
  denoise,
  exchange,
  decode,
  gather,
  blend,
  encode_video,
  wait
};
inline constexpr int stage_count = 10;
const char* stage_name(Stage stage);

/// Seconds since the process started measuring (a monotonic clock).
double now_seconds();

/// One timed piece of work on one rank.
struct Span {
  Stage stage;
  double begin;  // s, now_seconds()
  double end;
  std::int64_t bytes;  // moved, when the stage moves data; else 0
};

class Profile {
 public:
  void add(const Span& span) { spans_.push_back(span); }
  [[nodiscard]] const std::vector<Span>& spans() const { return spans_; }
  /// Exclusive seconds per stage: time inside a nested span counts for the nested stage.
  [[nodiscard]] std::array<double, stage_count> seconds() const;
  [[nodiscard]] std::array<std::int64_t, stage_count> bytes() const;

  /// The most GPU memory in use during a stage, bytes; 0 where nothing was noted.
  void note_device_peak(Stage stage, std::int64_t bytes) {
    device_peaks_[static_cast<std::size_t>(stage)] = bytes;
  }
  [[nodiscard]] const std::array<std::int64_t, stage_count>& device_peaks() const {
    return device_peaks_;
  }

 private:
  std::vector<Span> spans_;
  std::array<std::int64_t, stage_count> device_peaks_{};
};

/// Times the enclosing scope.
class ScopedStage {
 public:
  ScopedStage(Profile& profile, Stage stage)
      : profile_(profile), span_{stage, now_seconds(), 0, 0} {}
  ~ScopedStage() {
    span_.end = now_seconds();
    profile_.add(span_);
  }
  ScopedStage(const ScopedStage&) = delete;
  ScopedStage& operator=(const ScopedStage&) = delete;
  void add_bytes(std::int64_t bytes) { span_.bytes += bytes; }

 private:
  Profile& profile_;
  Span span_;
};

}  // namespace weft
