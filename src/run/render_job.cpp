// Receives a prepared job, hands it to the renderer, and leaves clip, contact sheet and run record.
#include "weft/run/render_job.h"

#include <cstring>

#include <sys/resource.h>

#include "weft/base/log.h"
#include "weft/device/device_api.h"
#include "weft/io/contact_sheet.h"
#include "weft/run/console.h"
#include "weft/run/frame_stream.h"
#include "weft/run/run_record.h"

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

std::unique_ptr<Ops> make_ops(const Job& job, int threads, const Session& session) {
  const Machine machine = machine_of(job);
  if (machine.device == DeviceKind::cpu) return make_cpu_ops(threads);
  const int gpus = cuda_device_count();
  if (session.local_size() > gpus && session.local_rank() == 0) {
    log_warn("{} ranks share {} GPU{} on {}: one rank per GPU is faster", session.local_size(),
             gpus, gpus == 1 ? "" : "s", session.host());
  }
  return make_cuda_ops(session.local_rank() % gpus, machine.precision);
}

/// Ranks that no window and no piece falls to, told once.
void tell_idle_ranks(const RenderPlan& plan) {
  const auto busy = static_cast<int>(std::max(plan.windows.windows.size(), plan.pieces.size()));
  if (busy < plan.ranks) {
    log_warn("{} of {} ranks have no work: the job has {} window{} and {} pieces to decode",
             plan.ranks - busy, plan.ranks, plan.windows.windows.size(),
             plan.windows.windows.size() == 1 ? "" : "s", plan.pieces.size());
  }
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

}  // namespace

void render_job(const Job& job, const PreparedJob& prepared, const Communicator& comm,
                const Session& session) {
  const double begin = now_seconds();
  const bool first = comm.rank() == 0;
  const int threads = job.threads > 0 ? job.threads : threads_for_rank(comm, session);
  const auto ops = make_ops(job, threads, session);
  const auto progress = make_progress(first);
  Profile profile;
  RenderContext context{comm, *ops, profile, *progress};
  const Clip& clip = prepared.clip;

  std::optional<FrameStream> stream;
  if (first) {
    log_info("{} x {}, {} frames, {} steps, {} window{} on {} rank{} ({})", clip.width, clip.height,
             clip.frames, clip.steps, prepared.plan.windows.windows.size(),
             prepared.plan.windows.windows.size() == 1 ? "" : "s", comm.size(),
             comm.size() == 1 ? "" : "s", ops->describe());
    tell_idle_ranks(prepared.plan);
    std::optional<ContactSheet> sheet;
    if (job.contact_sheet) sheet.emplace(clip.width, clip.height, clip.frames);
    stream.emplace(open_video(job.output, video_options(job, clip, prepared.model)),
                   std::move(sheet),
                   SeamMeter(seams_of(prepared.plan, prepared.model), clip.width, clip.height));
  }
  render_clip(context, prepared.model, clip, prepared.plan,
              prepared.image ? &*prepared.image : nullptr, stream ? &*stream : nullptr);
  if (first) {
    const ScopedStage stage(profile, Stage::encode_video);  // what is left when decoding is done
    stream->finish();
    if (stream->sheet()) write_png(sheet_path(job), stream->sheet()->picture());
  }

  RankReport mine{.rank = comm.rank(),
                  .host = session.host(),
                  .threads = threads,
                  .wall_seconds = now_seconds() - begin,
                  .peak_memory = peak_memory(),
                  .bytes_sent = comm.bytes_sent(),
                  .spans = profile.spans(),
                  .device_peaks = profile.device_peaks()};
  const auto reports = gather_reports(comm, mine);
  if (!first) return;
  RunResult result{.frames = stream->frames(),
                   .encoder_seconds = stream->busy_seconds(),
                   .seams = stream->seam_figure(),
                   .versions = {std::string("weft ") + WEFT_VERSION, session.library_version(),
                                ops->describe()}};
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
}

}  // namespace weft
