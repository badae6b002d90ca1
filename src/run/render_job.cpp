// Receives a prepared job, hands it to the renderer, and leaves clip, contact sheet and run record.
#include "weft/run/render_job.h"

#include <cstring>

#include <sys/resource.h>

#include "weft/base/log.h"
#include "weft/io/contact_sheet.h"
#include "weft/run/checkpoint.h"
#include "weft/run/console.h"
#include "weft/run/engine.h"
#include "weft/run/frame_stream.h"
#include "weft/run/run_record.h"
#include "weft/run/stop_request.h"

#include "output_paths.h"

namespace weft {
namespace {

double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

/// Every rank's report on rank 0.
std::vector<RankReport> gather_reports(const Communicator& comm, const RankReport& mine) {
  const auto hosts = comm.gather_strings(mine.host, 0);
  const std::array<double, 4> numbers{static_cast<double>(mine.threads), mine.wall_seconds,
                                      mine.peak_memory, static_cast<double>(mine.bytes_sent)};
  const auto all_numbers = comm.gather(std::as_bytes(std::span(numbers)), 0);
  const auto all_peaks = comm.gather(std::as_bytes(std::span(mine.device_peaks)), 0);
  const auto all_spans = comm.gather(std::as_bytes(std::span(mine.spans)), 0);
  std::vector<RankReport> reports;
  for (std::size_t r = 0; r < hosts.size(); ++r) {
    std::array<double, 4> n{};
    std::memcpy(n.data(), all_numbers[r].data(), sizeof n);
    RankReport report{.rank = static_cast<int>(r),
                      .host = hosts[r],
                      .threads = static_cast<int>(n[0]),
                      .wall_seconds = n[1],
                      .peak_memory = n[2],
                      .bytes_sent = static_cast<std::int64_t>(n[3]),
                      .spans = {},
                      .device_peaks = {}};
    std::memcpy(report.device_peaks.data(), all_peaks[r].data(), sizeof report.device_peaks);
    report.spans.resize(all_spans[r].size() / sizeof(Span));
    if (!report.spans.empty()) {
      std::memcpy(report.spans.data(), all_spans[r].data(), all_spans[r].size());
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

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

/// Takes frames until the job is told to stop. What is denoised is kept; decoding and encoding are
/// done again by the next run. Ends all ranks, so only for a job that has them all.
class StoppableSink final : public FrameSink {
 public:
  StoppableSink(FrameSink& sink, JobCheckpoints& checkpoints)
      : sink_(sink), checkpoints_(checkpoints) {}
  void push(const Tensor& frames) override {
    if (const auto reason = StopRequest::pending(stop_margin(0))) {
      checkpoints_.finish_writing();
      tell_stopped(*reason, checkpoints_.steps_kept());
      Session::abort(stopped_exit_code);  // the others wait for rank 0, or compute for nothing
    }
    sink_.push(frames);
  }

 private:
  FrameSink& sink_;
  JobCheckpoints& checkpoints_;
};

std::optional<CheckpointFiles> checkpoint_files(const Job& job, const PreparedJob& prepared,
                                                bool first) {
  if (!first || job.checkpoint_every == "off") return std::nullopt;
  return CheckpointFiles(work_folder(job) / "checkpoint.h5", job_identity(job, prepared));
}

double seconds_between_checkpoints(const Job& job) {
  return job.checkpoint_every == "off" ? 0 : parse_duration(job.checkpoint_every);
}

}  // namespace

JobEnd render_job(const Job& job, const PreparedJob& prepared, Engine& engine,
                  const Session& session) {
  const double begin = now_seconds();
  const Communicator& comm = engine.comm();
  const bool first = comm.rank() == 0;
  const auto progress = make_progress(first);
  Profile profile;
  JobCheckpoints checkpoints(comm, checkpoint_files(job, prepared, first),
                             seconds_between_checkpoints(job), job.resume);
  RenderContext context =
      engine.context(profile, *progress, job.checkpoint_every == "off" ? nullptr : &checkpoints);
  const Clip& clip = prepared.clip;
  const std::int64_t sent_before = engine.bytes_sent();

  std::optional<FrameStream> stream;
  std::optional<StoppableSink> sink;
  if (first) {
    log_info("{} x {}, {} frames, {} steps, {} window{} on {} rank{}, {} ({})", clip.width,
             clip.height, clip.frames, clip.steps, prepared.plan.windows.windows.size(),
             prepared.plan.windows.windows.size() == 1 ? "" : "s", comm.size(),
             comm.size() == 1 ? "" : "s", prepared.plan.grid.str(), engine.ops().describe());
    tell_idle_ranks(prepared.plan);
    std::optional<ContactSheet> sheet;
    if (job.contact_sheet) sheet.emplace(clip.width, clip.height, clip.frames);
    stream.emplace(open_video(job.output, video_options(job, clip, prepared.model)),
                   std::move(sheet),
                   SeamMeter(seams_of(prepared.plan, prepared.model), clip.width, clip.height));
    sink.emplace(*stream, checkpoints);
  }
  const bool may_end_all = context.checkpoints != nullptr && comm.size() == session.size();
  FrameSink* to = !first ? nullptr : may_end_all ? static_cast<FrameSink*>(&*sink) : &*stream;
  try {
    render_clip(context, prepared.model, clip, prepared.plan,
                prepared.image ? &*prepared.image : nullptr, to);
  } catch (const Stopped&) {
    checkpoints.finish_writing();
    if (first) tell_stopped(checkpoints.stop_reason(), checkpoints.steps_kept());
    return JobEnd::stopped;
  }
  if (first) {
    const ScopedStage stage(profile, Stage::encode_video);  // what is left when decoding is done
    stream->finish();
    if (stream->sheet()) write_png(sheet_path(job), stream->sheet()->picture());
    checkpoints.remove();
  }

  RankReport mine{.rank = comm.rank(),
                  .host = session.host(),
                  .threads = engine.threads(),
                  .wall_seconds = now_seconds() - begin,
                  .peak_memory = peak_memory(),
                  .bytes_sent = engine.bytes_sent() - sent_before,
                  .spans = profile.spans(),
                  .device_peaks = profile.device_peaks()};
  const auto reports = gather_reports(comm, mine);
  if (!first) return JobEnd::done;
  RunResult result{.frames = stream->frames(),
                   .encoder_seconds = stream->busy_seconds(),
                   .seams = stream->seam_figure(),
                   .versions = {std::string("weft ") + WEFT_VERSION, session.library_version(),
                                engine.ops().describe()}};
  const auto record = record_path(job);
  if (!record.empty()) {
    write_run_record(record, job, prepared.model, clip, prepared.plan, reports, result);
  }
  std::string text = "\n" + stage_table(reports, result.encoder_seconds);
  if (const std::string seams = seam_text(result.seams); !seams.empty()) {
    text += fmt::format("seam figure   {} (1: window edges cannot be told from the rest)\n", seams);
  }
  text += fmt::format("clip          {}\n", job.output.string());
  if (job.contact_sheet) text += fmt::format("contact sheet {}\n", sheet_path(job).string());
  if (!record.empty()) text += fmt::format("record        {}\n", record.string());
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  return JobEnd::done;
}

}  // namespace weft
