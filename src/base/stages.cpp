#include "weft/base/stages.h"

#include <algorithm>
#include <atomic>

namespace weft {
namespace {

std::atomic<const RangeHooks*> hooks_in_use{nullptr};

}  // namespace

const char* stage_name(Stage stage) {
  static constexpr std::array<const char*, stage_count> names{
      "load",   "encode_text", "encode_image", "denoise",      "exchange",
      "decode", "gather",      "blend",        "encode_video", "wait"};
  return names[static_cast<std::size_t>(stage)];
}

double now_seconds() {
  static const auto start = std::chrono::steady_clock::now();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::array<double, stage_count> exclusive_seconds(const std::vector<Span>& spans) {
  std::array<double, stage_count> total{};
  // Walk them by begin time with a stack of open ones and give each interval to the innermost.
  std::vector<Span> order = spans;
  std::ranges::sort(order, [](const Span& a, const Span& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  std::vector<const Span*> open;
  for (const Span& span : order) {
    while (!open.empty() && open.back()->end <= span.begin) open.pop_back();
    if (!open.empty()) total[static_cast<std::size_t>(open.back()->stage)] -= span.end - span.begin;
    total[static_cast<std::size_t>(span.stage)] += span.end - span.begin;
    open.push_back(&span);
  }
  return total;
}

std::array<std::int64_t, stage_count> Profile::bytes() const {
  std::array<std::int64_t, stage_count> total{};
  for (const Span& span : spans_) total[static_cast<std::size_t>(span.stage)] += span.bytes;
  return total;
}

void set_range_hooks(const RangeHooks* hooks) { hooks_in_use = hooks; }
const RangeHooks* range_hooks() { return hooks_in_use; }

}  // namespace weft
