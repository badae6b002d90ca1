#pragma once
// What this process is doing right now, for whoever watches it from another thread: one record per
// process, lock-free, cheap enough to be set a thousand times a second.

#include <cstdint>
#include <optional>
#include <string>

#include "weft/base/stages.h"

namespace weft {

/// A stage and where in it. What the two numbers count depends on the stage: step and window
/// (denoise, exchange), chunk (decode, gather), scene (encode_text), frame (encode_video, blend),
/// part (load). They are shown as they are.
struct Activity {
  static constexpr std::int64_t none = -1;
  /// Larger numbers are kept as this one.
  static constexpr std::int64_t largest = (std::int64_t{1} << 28) - 2;

  std::optional<Stage> stage;  // empty before the first set_activity()
  std::int64_t a = none, b = none;
};

/// Replaces the record and counts as progress. Never from a loop that only waits: a stuck job
/// would look alive.
void set_activity(Stage stage, std::int64_t a = Activity::none, std::int64_t b = Activity::none);
/// A piece of work was completed: a block, a chunk, a file.
void note_progress();

/// The last record, always whole: never the stage of one and the numbers of another.
[[nodiscard]] Activity current_activity();
/// Grows with every set_activity() and note_progress().
[[nodiscard]] std::uint64_t progress_count();

/// "denoise, step 12, window 3"; "start" when there is no stage yet.
[[nodiscard]] std::string activity_text(const Activity& activity);

/// A record as one word, and back. A word that no record has gives an empty one.
[[nodiscard]] std::uint64_t pack_activity(const Activity& activity);
[[nodiscard]] Activity unpack_activity(std::uint64_t word);

}  // namespace weft
