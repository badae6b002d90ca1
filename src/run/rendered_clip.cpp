// Receives a prepared job, hands it to the renderer, and leaves clip, contact sheet and run record.
#include "weft/run/rendered_clip.h"

#include "weft/base/activity.h"
#include "weft/base/log.h"
#include "weft/io/contact_sheet.h"
#include "weft/run/checkpoint.h"
#include "weft/run/console.h"
#include "weft/run/describe_run.h"
#include "weft/run/engine.h"
#include "weft/run/frame_stream.h"
#include "weft/run/stop_request.h"

#include "output_paths.h"
#include "rank_reports.h"

namespace weft {
namespace {

/// Ranks that no window and no piece falls to, told once.
void tell_idle_ranks(const RenderPlan& plan) {
  const int busy = std::max(plan.grid.ranks(), static_cast<int>(plan.pieces.size()));
  if (busy < plan.ranks) {
    log_warn("{} of {} ranks have no work: {} denoise ({}), and there are {} pieces to decode",
             plan.ranks - busy, plan.ranks, plan.grid.ranks(), plan.grid.str(), plan.pieces.size());
  }
}

void tell_stopped(const std::string& reason, int steps) {
  log_info("stopped ({}) with a checkpoint after step {}: run the same command again to go on",
           reason, steps);
}

std::string seam_text(const SeamMeter::Figure& f) {
  std::string text;
  const auto add = [&](const char* axis, const std::optional<double>& value) {
    if (value) text += fmt::format("{}{} {:.3f}", text.empty() ? "" : ", ", axis, *value);
  };
  add("frames", f.frames);
  add("rows", f.rows);
  add("columns", f.cols);
  return text;
}

/// What they cost, or "" when there was none.
std::string checkpoint_text(const JobCheckpoints& checkpoints, const Profile& profile) {
  if (checkpoints.count() == 0) return "";
  const double denoise = profile.seconds()[static_cast<std::size_t>(Stage::denoise)];
  return fmt::format("checkpoints   {}, which held denoising up for {:.3f} s ({:.2f} %)\n",
                     checkpoints.count(), checkpoints.seconds_spent(),
                     100 * checkpoints.seconds_spent() / std::max(denoise, 1e-9));
}

/// Takes frames until the job is told to stop. What is denoised is kept; decoding and encoding are
/// done again by the next run.
class StoppableSink final : public FrameSink {
 public:
  StoppableSink(FrameSink& sink, JobCheckpoints& checkpoints, StopInDecode stop)
      : sink_(sink), checkpoints_(checkpoints), stop_(stop) {}
  void push(const Tensor& frames) override {
    if (stop_ != StopInDecode::go_on) stop_when_told();
    sink_.push(frames);
  }

 private:
  void stop_when_told() {
    const auto reason = StopRequest::pending(stop_margin(0));
    if (!reason) return;
    checkpoints_.finish_writing();
    tell_stopped(*reason, checkpoints_.steps_kept());
    if (stop_ == StopInDecode::end_job) throw Stopped();
    Session::abort(stopped_exit_code);  // the others wait for rank 0, or compute for nothing
  }

  FrameSink& sink_;
  JobCheckpoints& checkpoints_;
  StopInDecode stop_;
};

/// Calls the hook after every step, then whoever keeps checkpoints, if anybody does.
class HookedCheckpoints final : public Checkpoints {
 public:
  HookedCheckpoints(Checkpoints* inner, const RenderHooks& hooks) : inner_(inner), hooks_(hooks) {}
  std::optional<DenoiseState> load() override {
    auto state = inner_ != nullptr ? inner_->load() : std::nullopt;
    if (state) resumed_steps_ = state->steps_done;
    return state;
  }
  Then after_step(int done, int total) override {
    if (hooks_.after_step) hooks_.after_step(done, total);
    return inner_ != nullptr ? inner_->after_step(done, total) : Then::go_on;
  }
  void save(DenoiseState mine) override {
    if (inner_ != nullptr) inner_->save(std::move(mine));
  }
  /// Steps that an earlier run had done.
  [[nodiscard]] int resumed_steps() const { return resumed_steps_; }

 private:
  Checkpoints* inner_;
  const RenderHooks& hooks_;
  int resumed_steps_ = 0;
};

std::optional<CheckpointFiles> kept_files(const Job& job, const PreparedJob& prepared, bool first) {
  if (!first || job.checkpoint_every == "off") return std::nullopt;
  return checkpoint_files(job, prepared);
}

double seconds_between_checkpoints(const Job& job) {
  return job.checkpoint_every == "off" ? 0 : parse_duration(job.checkpoint_every);
}

std::unique_ptr<FrameStream> open_stream(const Job& job, const PreparedJob& prepared) {
  const Clip& clip = prepared.clip;
  std::optional<ContactSheet> sheet;
  if (job.contact_sheet) sheet.emplace(clip.width, clip.height, clip.frames);
  std::optional<FlowMeter> flow;
  if (job.quality_figures) flow.emplace(clip.width, clip.height);
  return std::make_unique<FrameStream>(
      open_video(job.output, video_options(job, clip, prepared.model)), std::move(sheet),
      SeamMeter(seams_of(prepared.plan, prepared.model), clip.width, clip.height), std::move(flow));
}

std::optional<double> joules_since(const std::optional<double>& before, const Engine& engine) {
  const std::optional<double> now = engine.joules();
  if (!before || !now) return std::nullopt;
  return *now - *before;
}

void tell_job(const PreparedJob& prepared, Engine& engine) {
  const Clip& clip = prepared.clip;
  const int ranks = engine.comm().size();
  log_info("{} x {}, {} frames, {} steps, {} window{} on {} rank{}, {} ({})", clip.width,
           clip.height, clip.frames, clip.steps, prepared.plan.windows.windows.size(),
           prepared.plan.windows.windows.size() == 1 ? "" : "s", ranks, ranks == 1 ? "" : "s",
           prepared.plan.grid.str(), engine.ops().describe());
  tell_idle_ranks(prepared.plan);
}

}  // namespace

/// What rank 0 needs to finish; the other ranks have none of it.
struct RenderedClip::State {
  Job job;
  PreparedJob prepared;
  double begin = now_seconds();
  Profile profile;
  std::unique_ptr<JobCheckpoints> checkpoints;
  std::unique_ptr<FrameStream> stream;
  RunRecord record;
};

RenderedClip::RenderedClip(std::unique_ptr<State> state) : state_(std::move(state)) {}
RenderedClip::~RenderedClip() = default;
RenderedClip::RenderedClip(RenderedClip&&) noexcept = default;
RenderedClip& RenderedClip::operator=(RenderedClip&&) noexcept = default;

std::optional<RenderedClip> render_frames(const Job& job, const PreparedJob& prepared,
                                          Engine& engine, const Session& session,
                                          const RenderHooks& hooks) {
  auto state = std::make_unique<RenderedClip::State>();
  const Communicator& comm = engine.comm();
  const bool first = comm.rank() == 0;
  std::unique_ptr<Progress> console;
  if (hooks.progress == nullptr) console = make_progress(first);
  Progress& progress = console ? *console : *hooks.progress;
  state->checkpoints = std::make_unique<JobCheckpoints>(
      comm, kept_files(job, prepared, first), seconds_between_checkpoints(job), job.resume);
  JobCheckpoints& checkpoints = *state->checkpoints;
  const bool kept = job.checkpoint_every != "off";
  HookedCheckpoints hooked(kept ? &checkpoints : nullptr, hooks);
  RenderContext context = engine.context(state->profile, progress, &hooked);
  const std::int64_t sent_before = engine.bytes_sent();
  const std::optional<double> joules_before = engine.joules();

  std::optional<StoppableSink> sink;
  if (first) {
    tell_job(prepared, engine);
    state->record = describe_run(job, prepared, session);
    state->record.command = hooks.command;
    state->record.retries = hooks.retries;
    state->stream = open_stream(job, prepared);
    sink.emplace(*state->stream, checkpoints, kept ? hooks.stop_in_decode : StopInDecode::go_on);
  }
  try {
    render_clip(context, prepared.model, prepared.clip, prepared.plan,
                prepared.image ? &*prepared.image : nullptr, sink ? &*sink : nullptr);
  } catch (const Stopped&) {
    checkpoints.finish_writing();
    if (first && !checkpoints.stop_reason().empty()) {
      tell_stopped(checkpoints.stop_reason(), checkpoints.steps_kept());
    }
    return std::nullopt;
  }
  checkpoints.wait();  // the next job reads its own with the same library
  const RankReport mine{.rank = comm.rank(),
                        .host = session.host(),
                        .device = device_name_of(engine.ops().device()),
                        .threads = engine.threads(),
                        .wall_seconds = now_seconds() - state->begin,
                        .peak_memory = peak_memory(),
                        .bytes_sent = engine.bytes_sent() - sent_before,
                        .energy_joules = joules_since(joules_before, engine),
                        .spans = state->profile.spans(),
                        .device_peaks = state->profile.device_peaks()};
  auto reports = gather_reports(comm, mine, state->begin);
  if (!first) return RenderedClip(nullptr);
  state->record.ranks = std::move(reports);
  state->record.resumed_steps = hooked.resumed_steps();
  state->job = job;
  state->prepared = prepared;
  return RenderedClip(std::move(state));
}

ClipReport RenderedClip::finish(const std::function<void()>& before_naming) {
  if (!state_) return {};
  const std::unique_ptr<State> state = std::move(state_);
  State& s = *state;
  RunRecord& record = s.record;
  RankReport& mine = record.ranks.front();
  ClipReport report{.text = {},
                    .wall_seconds = 0,
                    .busy_seconds = mine.wall_seconds -
                                    s.profile.seconds()[static_cast<std::size_t>(Stage::load)],
                    .resumed = record.resumed_steps > 0};
  {
    const ScopedStage stage(s.profile, Stage::encode_video);  // what is left after decoding
    set_activity(Stage::encode_video);
    log_debug("encode_video: the last frames");
    s.stream->drain();
    if (before_naming) before_naming();
    s.stream->finish();
    if (s.stream->sheet()) write_png(sheet_path(s.job), s.stream->sheet()->picture());
  }
  mine.spans = s.profile.spans();
  shift_spans(mine.spans, s.begin);
  mine.wall_seconds = now_seconds() - s.begin;
  report.wall_seconds = mine.wall_seconds;
  record.frames_made = s.stream->frames();
  record.encoder_seconds = s.stream->busy_seconds();
  record.seams = s.stream->seam_figure();
  record.warping_error = s.stream->warping_error();
  const auto file = record_path(s.job);
  if (!file.empty()) write_run_record(file, record);
  s.checkpoints->remove();  // last: while anything can fail, the next attempt starts from it
  report.text = "\n" + stage_table(record.ranks, record.encoder_seconds);
  if (const std::string seams = seam_text(record.seams); !seams.empty()) {
    report.text +=
        fmt::format("seam figure   {} (1: window edges cannot be told from the rest)\n", seams);
  }
  if (const auto error = record.warping_error) {
    report.text += fmt::format(
        "warping error {:.3e} (0: still; more for flicker and noise; compare clips of one "
        "prompt)\n",
        *error);
  }
  report.text += cost_text(record);
  report.text += checkpoint_text(*s.checkpoints, s.profile);
  report.text += fmt::format("clip          {}\n", s.job.output.string());
  if (s.job.contact_sheet) {
    report.text += fmt::format("contact sheet {}\n", sheet_path(s.job).string());
  }
  if (!file.empty()) report.text += fmt::format("record        {}\n", file.string());
  return report;
}

}  // namespace weft
