// One job from the first frame to the closing table, with all ranks of its group.
#include "weft/run/render_job.h"

#include <cstdio>

#include "weft/run/engine.h"
#include "weft/run/rendered_clip.h"

namespace weft {

JobEnd render_job(const Job& job, const PreparedJob& prepared, Engine& engine,
                  const Session& session) {
  const bool has_all_ranks = engine.comm().size() == session.size();
  const RenderHooks hooks{
      .progress = nullptr,
      .after_step = {},
      .stop_in_decode = has_all_ranks ? StopInDecode::end_all : StopInDecode::go_on,
      .command = "render",
      .retries = 0};
  auto clip = render_frames(job, prepared, engine, session, hooks);
  if (!clip) return JobEnd::stopped;
  const ClipReport report = clip->finish();
  std::fputs(report.text.c_str(), stdout);
  std::fflush(stdout);
  return JobEnd::done;
}

}  // namespace weft
