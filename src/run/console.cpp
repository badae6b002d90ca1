#include "weft/run/console.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <unistd.h>

#include "weft/base/log.h"

namespace weft {
namespace {

std::string clock_text(double seconds) {
  const auto s = std::lround(seconds);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

class ConsoleProgress final : public Progress {
 public:
  void begin(Stage stage, std::int64_t total, const char* unit) override {
    stage_ = stage;
    total_ = total;
    done_ = 0;
    unit_ = unit;
    begin_ = last_ = now_seconds();
    if (tty_) draw();
  }
  void advance(std::int64_t units) override {
    done_ += units;
    const double now = now_seconds();
    if (tty_ ? now - last_ < 0.1 && done_ < total_ : now - last_ < 10) return;
    last_ = now;
    draw();
  }
  void end() override {
    draw();
    if (tty_) std::fputc('\n', stderr);
  }

 private:
  void draw() const {
    const double elapsed = now_seconds() - begin_;
    const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
    std::string text = fmt::format("{}/{} {}", done_, total_, unit_);
    if (done_ > 0) {
      text += rate >= 1 ? fmt::format(", {:.2f} {}/s", rate, unit_)
                        : fmt::format(", {:.2f} s each", 1 / rate);
    }
    text += done_ < total_ && rate > 0
                ? fmt::format(", {} left", clock_text(static_cast<double>(total_ - done_) / rate))
                : fmt::format(", {:.1f} s", elapsed);
    if (!tty_) {
      log_info("{}: {}", stage_name(stage_), text);
      return;
    }
    constexpr std::int64_t width = 28;
    const auto filled = static_cast<std::size_t>(width * done_ / std::max<std::int64_t>(total_, 1));
    std::fprintf(stderr, "\r\033[K%-12s [%s%s] %s", stage_name(stage_),
                 std::string(filled, '#').c_str(), std::string(width - filled, '.').c_str(),
                 text.c_str());
    std::fflush(stderr);
  }

  const bool tty_ = isatty(STDERR_FILENO) != 0;
  Stage stage_ = Stage::load;
  std::int64_t total_ = 0, done_ = 0;
  const char* unit_ = "";
  double begin_ = 0, last_ = 0;
};

class SilentProgress final : public Progress {
 public:
  void begin(Stage, std::int64_t, const char*) override {}
  void advance(std::int64_t) override {}
  void end() override {}
};

}  // namespace

std::unique_ptr<Progress> make_progress(bool speaks) {
  if (speaks) return std::make_unique<ConsoleProgress>();
  return std::make_unique<SilentProgress>();
}

std::string stage_table(const std::vector<RankReport>& ranks, double encoder_seconds) {
  const auto count = static_cast<double>(ranks.size());
  double wall = 0;
  double mean_wall = 0;  // a rank without work is done before the others
  for (const RankReport& r : ranks) {
    wall = std::max(wall, r.wall_seconds);
    mean_wall += r.wall_seconds / count;
  }
  std::array<double, stage_count> mean{}, most{};
  std::array<std::int64_t, stage_count> bytes{}, peak{};
  for (const RankReport& r : ranks) {
    const auto seconds = exclusive_seconds(r.spans);
    for (const Span& span : r.spans) bytes[static_cast<std::size_t>(span.stage)] += span.bytes;
    for (std::size_t s = 0; s < stage_count; ++s) {
      mean[s] += seconds[s] / count;
      most[s] = std::max(most[s], seconds[s]);
      peak[s] = std::max(peak[s], r.device_peaks[s]);
    }
  }
  const bool on_gpu = std::ranges::any_of(peak, [](std::int64_t b) { return b > 0; });
  std::string out = fmt::format("{:<14}{:>10}{:>10}{:>8}{:>12}{}\n", "stage", "mean s", "most s",
                                "share", "moved MB", on_gpu ? "   GPU peak GB" : "");
  const auto number = [](std::int64_t value, double unit, int width) {
    return fmt::format(
        "{:>{}}", value > 0 ? fmt::format("{:.2f}", static_cast<double>(value) / unit) : "", width);
  };
  double named = 0;
  for (std::size_t s = 0; s < stage_count; ++s) {
    if (most[s] == 0) continue;
    named += mean[s];
    out += fmt::format("{:<14}{:>10.2f}{:>10.2f}{:>7.1f}%{}{}\n", stage_name(static_cast<Stage>(s)),
                       mean[s], most[s], 100 * mean[s] / wall, number(bytes[s], 1e6, 12),
                       on_gpu ? number(peak[s], 1e9, 14) : "");
  }
  out += fmt::format("{:<14}{:>10.2f}{:>10}{:>7.1f}%\n", "other", mean_wall - named, "",
                     100 * (mean_wall - named) / wall);
  out += fmt::format("{:<14}{:>10.2f}{:>10}{:>7.1f}%\n", "done early", wall - mean_wall, "",
                     100 * (wall - mean_wall) / wall);
  out += fmt::format("{:<14}{:>10.2f}   on {} rank{}; encode_video {:.2f} s beside it on rank 0\n",
                     "wall", wall, ranks.size(), ranks.size() == 1 ? "" : "s", encoder_seconds);
  return out;
}

}  // namespace weft
