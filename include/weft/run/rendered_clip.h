#pragma once
// A job in two halves, for whoever renders many: all that needs the device, then what is left for
// rank 0's encoder thread, which may go on beside the next job.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "weft/comm/session.h"
#include "weft/render/renderer.h"
#include "weft/run/render_job.h"

namespace weft {

/// What becomes of a request to stop that comes while frames are decoded. Between steps the ranks
/// agree; here rank 0 alone takes frames and the others would wait for it.
enum class StopInDecode : std::uint8_t {
  go_on,    // to the end of the job
  end_all,  // ends the ranks of the session: for a job that has them all
  end_job   // for a job of one rank: render_frames() gives nothing
};

struct RenderHooks {
  Progress* progress = nullptr;  // instead of the console's
  /// After `done` of `total` steps, on every rank. What it throws must be thrown by all of them.
  std::function<void(int done, int total)> after_step;
  StopInDecode stop_in_decode = StopInDecode::go_on;
  // For the run record.
  std::string command = "render";
  std::int64_t retries = 0;  // attempts before this one
};

/// What a finished job tells about itself.
struct ClipReport {
  std::string text;         // the closing table, and where the files are
  double wall_seconds = 0;  // from the beginning to the last file
  double busy_seconds = 0;  // to the last frame, without loading models
  bool resumed = false;     // some steps were an earlier run's
};

class RenderedClip {
 public:
  ~RenderedClip();  // without finish(): nothing is left but the checkpoint
  RenderedClip(RenderedClip&&) noexcept;
  RenderedClip& operator=(RenderedClip&&) noexcept;

  /// Waits until the last frame is encoded, calls `before_naming`, gives the clip its final name,
  /// writes contact sheet and run record, removes the checkpoint. Writes HDF5, so no other thread
  /// may. Nothing happens on other ranks than 0. What `before_naming` throws leaves no clip.
  ClipReport finish(const std::function<void()>& before_naming = {});

 private:
  friend std::optional<RenderedClip> render_frames(const Job& job, const PreparedJob& prepared,
                                                   Engine& engine, const Session& session,
                                                   const RenderHooks& hooks);
  struct State;
  explicit RenderedClip(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The first half; nothing when the job was told to stop: then its checkpoint is written.
/// Collective over the engine's ranks.
std::optional<RenderedClip> render_frames(const Job& job, const PreparedJob& prepared,
                                          Engine& engine, const Session& session,
                                          const RenderHooks& hooks);

}  // namespace weft
