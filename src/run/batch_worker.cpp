// Takes jobs from the folder, renders each with the group's ranks, and reports what became of them.
#include "batch_worker.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include <unistd.h>

#include "weft/base/log.h"
#include "weft/run/console.h"
#include "weft/run/stop_request.h"

#include "batch_check.h"
#include "batch_files.h"
#include "batch_progress.h"
#include "output_paths.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t most_upcoming = 16;
/// Of the memory: what models that stay side by side may take.
constexpr double share_of_gpu = 0.9, share_of_host = 0.5;

class LostLease : public JobFailure {
 public:
  LostLease() : JobFailure("another run has taken the job over, or its folder is gone") {}
};

double host_memory(const Session& session) {
  const auto pages = static_cast<double>(sysconf(_SC_PHYS_PAGES));
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / session.local_size();
}

}  // namespace

struct BatchWorker::Pending {
  std::string id;
  Lease lease;
  double work;
  Job job;
  std::optional<RenderedClip> clip = {};
};

BatchWorker::BatchWorker(const BatchOptions& options, const std::string& name,
                         const Communicator& group, const Session& session, bool alone)
    : options_(options),
      group_(group),
      session_(session),
      alone_(alone),
      free_memory_(free_gpu_memory()) {
  if (!leads()) return;
  folder_.emplace(options.folder, QueueOptions{.worker = name,
                                               .lease_timeout = options.lease_timeout,
                                               .max_attempts = options.attempts});
  turns_.emplace(*folder_, options_);
}

BatchWorker::~BatchWorker() = default;

GroupTally BatchWorker::run() {
  while (!tally_.stopped) {
    if (told_to_stop()) {
      tally_.stopped = true;
      break;
    }
    std::string job_text;
    Turn turn = next_turn(job_text);
    if (turn.kind == Turn::Kind::over) break;
    if (turn.kind == Turn::Kind::wait) {
      std::this_thread::sleep_for(std::chrono::duration<double>(turn.seconds));
    } else {
      render(std::move(turn), job_text);
    }
  }
  if (leads()) finish_pending();
  return tally_;
}

/// A signal may have reached only some of the ranks.
bool BatchWorker::told_to_stop() {
  return group_.max(StopRequest::pending(stop_margin(0)) ? 1 : 0) > 0;
}

/// Rank 0 decides, all hear of it. A job whose text cannot be read has failed at once.
Turn BatchWorker::next_turn(std::string& job_text) {
  Turn turn;
  while (leads()) {
    turn = turns_->next([this] { return finish_pending(); });
    if (turn.kind != Turn::Kind::job) break;
    try {
      job_text = pack_job(stored_job(options_.folder, turn.id, options_.defaults));
      break;
    } catch (const InputError& e) {
      Pending job{turn.id, std::move(*turn.lease), turn.work, {}};
      fail(job, e.what());
    }
  }
  std::array<double, 2> head{static_cast<double>(turn.kind), turn.seconds};
  group_.broadcast(std::as_writable_bytes(std::span(head)), 0);
  turn.kind = static_cast<Turn::Kind>(head[0]);
  turn.seconds = head[1];
  if (turn.kind == Turn::Kind::job) {
    group_.broadcast_string(turn.id, 0);
    group_.broadcast_string(job_text, 0);
  }
  return turn;
}

void BatchWorker::render(Turn turn, const std::string& job_text) {
  Current current;
  current.job = unpack_job(job_text);
  current.begin = current.asked = now_seconds();
  std::optional<LogFile> log;
  std::unique_ptr<Progress> shown = std::make_unique<NoProgress>();
  std::optional<LeaseProgress> told;
  if (leads()) {
    current.leading =
        std::make_unique<Pending>(Pending{turn.id, std::move(*turn.lease), turn.work, current.job});
    clear_job_folder(current.job);
    log.emplace(current.job.output.parent_path() / "weft.log");
    if (alone_) shown = make_progress(true);
  }
  const ScopedContext doing(fmt::format("job {}", turn.id));
  std::optional<RenderedClip> clip;
  try {
    prepare(current);
    ready_engine(current);
    if (leads()) {
      log_info("job {}: {}", turn.id, current.job.prompt);
      give_upcoming(current.job);
      told.emplace(current.leading->lease, *shown, current.after_denoise);
    }
    const RenderHooks hooks{
        .progress = told ? static_cast<Progress*>(&*told) : shown.get(),
        .after_step = [&](int done, int total) { after_step(current, done == total); },
        .stop_in_decode = group_.size() == 1 ? StopInDecode::end_job : StopInDecode::go_on,
        .command = "batch",
        .retries = leads() ? folder_->attempts_at(turn.id) : 0};
    clip = render_frames(current.job, current.prepared, *engine_, session_, hooks);
  } catch (const LostLease& e) {
    if (leads()) {
      log_warn("job {}: {}", turn.id, e.what());
      turns_->look_again();
    }
    return;
  } catch (const JobFailure& e) {
    if (leads()) fail(*current.leading, e.what());
    return;
  } catch (const std::exception& e) {
    if (leads()) {
      finish_pending();  // what is done is not lost with this job
      fail(*current.leading, e.what());
    }
    if (group_.size() > 1) throw BrokenGroup(e.what());
    engine_.reset();  // whatever state it is in
    return;
  }
  if (leads()) finish_pending();
  if (!clip) {
    tally_.stopped = true;
    if (leads()) current.leading->lease.release();
  } else if (leads()) {
    current.leading->clip = std::move(clip);
    pending_ = std::move(current.leading);
  }
}

void BatchWorker::prepare(Current& current) {
  try {
    Problems problems;
    current.prepared =
        check_alone(current.job, JobUse::render, group_.rank(), session_, known_, problems);
    throw_if_any_rank_has_problems(group_, problems);
    share_network(current.job, group_, known_, current.prepared);
    make_plan(group_.size(), session_.local_size(), current.prepared, problems);
    if (problems.empty()) {
      check_memory(current.prepared, group_.rank(), free_memory_, problems);
    }
    throw_if_any_rank_has_problems(group_, problems);
  } catch (const InputError& e) {  // the same on every rank
    throw JobFailure(e.what());
  }
}

void BatchWorker::ready_engine(Current& current) {
  const Job& job = current.job;
  const PreparedJob& p = current.prepared;
  const Machine& machine = p.machine;
  const PlanFigures figures = plan_figures(p.plan, p.clip, p.model, machine);
  current.after_denoise =
      figures.flops_denoise > 0 ? figures.flops_decode / figures.flops_denoise : 0;
  const auto rank = static_cast<std::size_t>(group_.rank());
  const double memory = figures.text_memory[rank] +
                        (p.model.two_experts ? 2 : 1) * figures.denoise_memory[rank] +
                        figures.decode_memory[rank];
  const double most = machine.device == DeviceKind::cuda ? share_of_gpu * free_memory_
                                                         : share_of_host * host_memory(session_);
  const bool fits = group_.max(memory > most ? 1 : 0) == 0;
  const std::string key =
      fmt::format("{} {} {} {}", static_cast<int>(machine.device),
                  static_cast<int>(machine.precision), job.threads, machine.shard_weights);
  // Models that stay are given up for a job that needs the room, and not brought back after it.
  if (engine_ && key == engine_key_ && (fits || keep_ == Keep::one)) return;
  engine_.reset();
  keep_ = fits ? Keep::all : Keep::one;
  engine_.emplace(group_, session_, machine, job.threads, keep_);
  engine_key_ = key;
}

/// Where the text encoder comes and goes, prompts of later jobs are encoded while it is there.
void BatchWorker::give_upcoming(const Job& job) {
  auto& upcoming = engine_->prompts().upcoming;
  upcoming.clear();
  if (keep_ == Keep::all) return;
  const auto cleaning = job.text_cleaning == "fix" ? TextCleaning::fix : TextCleaning::basic;
  for (const std::string& id : turns_->waiting(most_upcoming)) {
    try {
      const Job next = stored_job(options_.folder, id, options_.defaults);
      if (next.model != job.model || next.text_cleaning != job.text_cleaning) continue;
      std::vector<std::string> texts{next.prompt, next.negative_prompt};
      if (!next.storyboard.empty()) {
        for (const SceneText& scene : parse_storyboard(next.storyboard)) {
          texts.push_back(scene.prompt);
        }
      }
      for (const std::string& text : texts) upcoming.push_back(clean_prompt(text, cleaning));
    } catch (const InputError&) {  // told when its turn comes
    }
  }
}

void BatchWorker::after_step(Current& current, bool last) {
  // The device is busy with this job by now: what the encoder still had to do ran beside it.
  if (leads()) finish_pending();
  constexpr double go_on = 0, late = 1, lost = 2;
  const double now = now_seconds();
  const bool over = options_.job_timeout > 0 && now - current.begin > options_.job_timeout;
  double wish = over && !last ? late : go_on;
  if (leads() && now - current.asked > options_.lease_timeout / 6) {
    current.asked = now;
    if (!current.leading->lease.still_mine()) wish = lost;
  }
  const double agreed = group_.size() > 1 ? group_.max(wish) : wish;
  if (agreed == lost) throw LostLease();
  if (agreed == late) {
    throw JobFailure(
        fmt::format("it took longer than the {:g} s that --job-timeout allows; what is done is "
                    "kept for the next attempt",
                    options_.job_timeout));
  }
}

/// The clip gets its name, then the queue hears of it. Whatever goes wrong is this job's alone.
bool BatchWorker::finish_pending() {
  if (!pending_) return false;
  const std::unique_ptr<Pending> job = std::move(pending_);
  ClipReport report;
  try {
    job->lease.set_status({.state = "encode_video", .step = 0, .steps = 0, .eta_seconds = -1});
    report = job->clip->finish([&] {
      if (!job->lease.still_mine()) throw LostLease();
    });
    std::error_code not_empty;
    fs::remove(work_folder(job->job), not_empty);
    if (!folder_->finish(std::move(job->lease))) throw LostLease();
  } catch (const LostLease& e) {
    log_warn("job {}: {}", job->id, e.what());
    turns_->look_again();
    return true;
  } catch (const std::exception& e) {
    fail(*job, e.what());
    return true;
  }
  turns_->note_done(job->id);
  ++tally_.done;
  tally_.job_seconds += report.wall_seconds;
  if (!report.resumed) note_speed(job->work, report.busy_seconds);
  std::fputs(fmt::format("done    {}  {:.1f} s  {}\n", job->id, report.wall_seconds,
                         job->job.output.string())
                 .c_str(),
             stdout);
  std::fflush(stdout);
  return true;
}

void BatchWorker::fail(Pending& job, const std::string& error) {
  ++tally_.failed;
  turns_->look_again();
  log_error("job {} failed: {}", job.id, error);
  folder_->fail(std::move(job.lease), error);
}

/// Of all jobs so far, the loading of models left out.
void BatchWorker::note_speed(double work, double seconds) {
  work_done_ += work;
  work_seconds_ += seconds;
  if (work_done_ <= 0 || work_seconds_ <= 0) return;
  try {
    folder_->set_speed(work_done_ / work_seconds_);
  } catch (const Error& e) {
    log_warn("{}", e.what());  // jobs are shared out less well then, no more
  }
}

}  // namespace weft
