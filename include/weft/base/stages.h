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
  std::int64_t bytes = 0;  // moved, when the stage moves data; else 0
  int step = -1;           // of denoising, from 0; in decode: the number of the piece; -1: none
  double flops = 0;        // operations by the cost model (grid/cost.h); 0: not counted
};

/// Exclusive seconds per stage of one rank's spans, which nest: time inside an inner span counts
/// for the inner span's stage only.
std::array<double, stage_count> exclusive_seconds(const std::vector<Span>& spans);

class Profile {
 public:
  void add(const Span& span) { spans_.push_back(span); }
  [[nodiscard]] const std::vector<Span>& spans() const { return spans_; }
  [[nodiscard]] std::array<double, stage_count> seconds() const {
    return exclusive_seconds(spans_);
  }
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

/// Named ranges of a profiler, pushed and popped on the thread that does the work.
struct RangeHooks {
  void (*push)(const char* name);
  void (*pop)();
};
/// From now on every ScopedStage is also a range with its stage's name; null: no longer. Set by the
/// backend whose profiler has ranges (kernels/cuda); `hooks` must live as long as the process.
void set_range_hooks(const RangeHooks* hooks);
[[nodiscard]] const RangeHooks* range_hooks();

/// Times the enclosing scope.
class ScopedStage {
 public:
  ScopedStage(Profile& profile, Stage stage, int step = -1)
      : profile_(profile), span_{stage, now_seconds(), 0, 0, step}, hooks_(range_hooks()) {
    if (hooks_ != nullptr) hooks_->push(stage_name(stage));
  }
  ~ScopedStage() {
    span_.end = now_seconds();
    if (hooks_ != nullptr) hooks_->pop();
    profile_.add(span_);
  }
  ScopedStage(const ScopedStage&) = delete;
  ScopedStage& operator=(const ScopedStage&) = delete;
  void add_bytes(std::int64_t bytes) { span_.bytes += bytes; }
  void add_flops(double flops) { span_.flops += flops; }

 private:
  Profile& profile_;
  Span span_;
  const RangeHooks* hooks_;  // those that were told of the begin are told of the end
};

}  // namespace weft
