#include "scale_worker.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include <unistd.h>

#include "weft/base/log.h"
#include "weft/device/device_api.h"
#include "weft/run/console.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr int tag_done = 7;
constexpr int warm_up_steps = 2;
/// Of the memory: what models that stay side by side may take.
constexpr double share_of_gpu = 0.9, share_of_host = 0.5;

double memory_for_models(const Machine& machine, const Session& session) {
  if (machine.device == DeviceKind::cuda) {
    const DeviceApi* api = cuda_device_api();
    return api == nullptr ? 0 : share_of_gpu * static_cast<double>(api->memory().free);
  }
  const auto pages = static_cast<double>(sysconf(_SC_PHYS_PAGES));
  return share_of_host * pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / session.local_size();
}

/// Bytes that `rank` needs to keep everything of a case loaded.
double memory_of(const ScaleCase& made, const Machine& machine, int rank) {
  const PreparedJob& p = made.prepared;
  const PlanFigures f = plan_figures(p.plan, p.clip, p.model, machine);
  const auto at = static_cast<std::size_t>(rank);
  return f.text_memory[at] + (p.model.two_experts ? 2 : 1) * f.denoise_memory[at] +
         f.decode_memory[at];
}

}  // namespace

ScaleWorker::ScaleWorker(std::map<int, ScaleCase>& cases, const Communicator& world,
                         const Session& session)
    : cases_(cases), world_(world), session_(session) {
  const int asked = cases.begin()->second.job.threads;
  threads_ = threads_for_rank(world, session);
  if (asked > 0) threads_ = asked;
  keep_all_ = all_fit();
}

bool ScaleWorker::all_fit() const {
  double needed = 0;
  Machine machine;
  for (const auto& [ranks, made] : cases_) {
    machine = machine_of(made.job, session_.local_size());
    if (world_.rank() < ranks) needed += memory_of(made, machine, world_.rank());
  }
  return world_.max(needed > memory_for_models(machine, session_) ? 1 : 0) == 0;
}

Engine& ScaleWorker::ready_engine(ScaleCase& made) {
  std::unique_ptr<Engine>& engine = engines_[made.ranks];
  if (engine) return *engine;
  const Machine machine = machine_of(made.job, session_.local_size());
  const double one = memory_of(made, machine, world_.rank());
  const bool fits = made.group->max(one > memory_for_models(machine, session_) ? 1 : 0) == 0;
  engine = std::make_unique<Engine>(*made.group, session_, machine, threads_,
                                    fits ? Keep::all : Keep::one);
  Job short_job = made.job;
  short_job.record = "none";
  short_job.contact_sheet = false;
  PreparedJob short_clip = made.prepared;
  short_clip.clip.steps = std::min(warm_up_steps, short_clip.clip.steps);
  const ScopedContext doing("warming up");
  // Without finish() the clip never gets a name.
  static_cast<void>(render_once(short_job, short_clip, *engine));
  return *engine;
}

RenderedClip ScaleWorker::render_once(const Job& job, const PreparedJob& prepared, Engine& engine) {
  engine.prompts().embeds.clear();  // or the text encoder would have nothing to do
  engine.comm().barrier();          // all begin together
  const auto silent = make_progress(false);
  RenderHooks hooks;
  hooks.progress = silent.get();
  hooks.command = "scale";
  auto clip = render_frames(job, prepared, engine, session_, hooks);
  WEFT_ASSERT(clip.has_value(), "a run without checkpoints was stopped");
  return std::move(*clip);
}

void ScaleWorker::render(ScaleCase& made, const fs::path& clip, const fs::path& record) {
  const ScopedContext doing(fmt::format("on {} ranks", made.ranks));
  Job job = made.job;
  job.output = clip;
  made.job.output = clip;
  job.record = record;
  try {
    Engine& engine = ready_engine(made);
    render_once(job, made.prepared, engine).finish();
  } catch (const InputError& e) {
    throw Error(e.what());  // from here on a problem is one rank's own
  }
}

void ScaleWorker::run(int ranks, const fs::path& clip, const fs::path& record) {
  // All ranks come by here before any of them renders: what engines share goes with none left.
  if (!keep_all_ && current_ != ranks) {
    engines_.clear();
    world_.barrier();
  }
  current_ = ranks;
  if (world_.rank() >= ranks) {
    wait_for_renderers();
    return;
  }
  render(cases_.at(ranks), clip, record);
  if (world_.rank() != 0) return;
  const std::array<std::byte, 1> word{};
  for (int other = ranks; other < world_.size(); ++other) world_.send(word, other, tag_done);
}

/// Asks now and then, and sleeps in between: a waiting rank that spins would take a core from those
/// that compute.
void ScaleWorker::wait_for_renderers() const {
  std::array<std::byte, 1> word{};
  auto done = world_.start_receive(word, 0, tag_done);
  while (!done.done()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

}  // namespace weft
