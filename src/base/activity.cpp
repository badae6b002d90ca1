#include "weft/base/activity.h"

#include <algorithm>
#include <array>
#include <atomic>

#include <fmt/format.h>

namespace weft {
namespace {

// The word: stage + 1 in the top 8 bits (0: none), then a + 1 and b + 1 in 28 bits each. One word,
// because a reader must never see half of a record.
constexpr int field_bits = 28;
constexpr std::uint64_t field_mask = (std::uint64_t{1} << field_bits) - 1;

std::atomic<std::uint64_t> record{0};
std::atomic<std::uint64_t> progress{0};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

std::uint64_t pack_number(std::int64_t n) {
  return static_cast<std::uint64_t>(std::clamp(n, Activity::none, Activity::largest) + 1);
}

std::int64_t unpack_number(std::uint64_t field) {
  return static_cast<std::int64_t>(field & field_mask) - 1;
}

/// What the numbers of a stage count; "" where they count nothing.
std::array<const char*, 2> number_names(Stage stage) {
  switch (stage) {
    case Stage::denoise:
    case Stage::exchange:
      return {"step", "window"};
    case Stage::decode:
    case Stage::gather:
      return {"chunk", "part"};
    case Stage::encode_text:
      return {"scene", "part"};
    case Stage::encode_video:
    case Stage::blend:
      return {"frame", "part"};
    case Stage::load:
    case Stage::encode_image:
    case Stage::wait:
      return {"part", "of"};
  }
  return {"part", "of"};
}

}  // namespace

void set_activity(Stage stage, std::int64_t a, std::int64_t b) {
  record.store(pack_activity({stage, a, b}), std::memory_order_relaxed);
  note_progress();
}

void note_progress() { progress.fetch_add(1, std::memory_order_relaxed); }

Activity current_activity() { return unpack_activity(record.load(std::memory_order_relaxed)); }

std::uint64_t progress_count() { return progress.load(std::memory_order_relaxed); }

std::string activity_text(const Activity& activity) {
  if (!activity.stage) return "start";
  const auto names = number_names(*activity.stage);
  std::string text = stage_name(*activity.stage);
  if (activity.a != Activity::none) text += fmt::format(", {} {}", names[0], activity.a);
  if (activity.b != Activity::none) text += fmt::format(", {} {}", names[1], activity.b);
  return text;
}

std::uint64_t pack_activity(const Activity& activity) {
  if (!activity.stage) return 0;
  return (static_cast<std::uint64_t>(*activity.stage) + 1) << (2 * field_bits) |
         pack_number(activity.a) << field_bits | pack_number(activity.b);
}

Activity unpack_activity(std::uint64_t word) {
  const std::uint64_t stage = word >> (2 * field_bits);
  if (stage == 0 || stage > stage_count) return {};
  return {static_cast<Stage>(stage - 1), unpack_number(word >> field_bits), unpack_number(word)};
}

}  // namespace weft
