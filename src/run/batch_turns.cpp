// Receives the folder's state, hands out the next job of this group with its lease.
#include "batch_turns.h"

#include <algorithm>
#include <random>

#include "weft/base/log.h"
#include "weft/base/stages.h"

namespace weft {
namespace {

constexpr double longest_pause = 5;  // seconds
constexpr int most_refusals = 20;    // jobs that others took first, then the list is too old

}  // namespace

void BatchTurns::refresh() {
  const double now = now_seconds();
  // A list may be used for ten times as long as it took; what has changed by then is found out by
  // trying to take the job.
  if (listed_at_ >= 0 && now - listed_at_ < std::clamp(10 * list_seconds_, 0.5, 60.0)) return;
  jobs_ = folder_.list();
  listed_at_ = now_seconds();
  list_seconds_ = listed_at_ - now;
}

bool BatchTurns::too_many() const {
  if (options_.max_concurrent == 0) return false;
  return std::ranges::count(jobs_, JobState::running, &JobView::state) >= options_.max_concurrent;
}

void BatchTurns::set_state(const std::string& id, JobState state) {
  const auto job = std::ranges::find(jobs_, id, &JobView::id);
  if (job != jobs_.end()) job->state = state;
}

std::optional<Turn> BatchTurns::try_take() {
  for (int refused = 0; refused < most_refusals; ++refused) {
    const auto id = folder_.choose(jobs_, options_.order, options_.balance);
    if (!id) return std::nullopt;
    auto lease = folder_.try_take(*id);
    set_state(*id, JobState::running);  // by this group or by another
    if (!lease) continue;
    if (options_.max_concurrent > 0) {  // others may have looked and taken at the same moment
      look_again();
      refresh();
      const auto running = std::ranges::count(jobs_, JobState::running, &JobView::state);
      if (running > options_.max_concurrent) {
        lease->release();
        look_again();
        return std::nullopt;
      }
    }
    pause_ = 1;
    const auto job = std::ranges::find(jobs_, *id, &JobView::id);
    return Turn{.kind = Turn::Kind::job,
                .id = *id,
                .lease = std::move(lease),
                .work = job == jobs_.end() ? 0 : job->work,
                .seconds = 0};
  }
  return std::nullopt;
}

Turn BatchTurns::wait() {
  static thread_local std::mt19937 random{std::random_device{}()};
  // Not all at the same moment: they would take, see that they are too many, and give back.
  const double part = std::uniform_real_distribution(0.7, 1.0)(random);
  Turn turn{.kind = Turn::Kind::wait, .id = {}, .lease = {}, .work = 0, .seconds = pause_ * part};
  pause_ = std::min(longest_pause, 1.5 * pause_);
  look_again();
  return turn;
}

Turn BatchTurns::next(const std::function<bool()>& finish_pending) {
  refresh();
  if (!too_many()) {
    if (auto turn = try_take()) return std::move(*turn);
  }
  finish_pending();
  look_again();
  refresh();
  if (!too_many()) {
    if (auto turn = try_take()) return std::move(*turn);
  }
  const bool over = std::ranges::all_of(jobs_, [](const JobView& job) {
    return job.state == JobState::done || job.state == JobState::parked;
  });
  if (over) return {};
  if (folder_.blocked()) {
    log_error(
        "no more jobs are taken here: this worker or its host is blocked; see weft batch --status "
        "{}",
        options_.folder.string());
    return {};
  }
  return wait();
}

std::vector<std::string> BatchTurns::waiting(std::size_t most) const {
  std::vector<const JobView*> open;
  for (const JobView& job : jobs_) {
    if (job.state == JobState::queued) open.push_back(&job);
  }
  const auto before = [&](const JobView* a, const JobView* b) {
    if (options_.order == JobOrder::priority && a->priority != b->priority) {
      return a->priority < b->priority;
    }
    if (options_.order == JobOrder::shortest && a->work != b->work) return a->work < b->work;
    if (options_.order == JobOrder::largest && a->work != b->work) return a->work > b->work;
    return a->index < b->index;
  };
  const std::size_t count = std::min(most, open.size());
  std::ranges::partial_sort(open, open.begin() + static_cast<std::ptrdiff_t>(count), before);
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(open[i]->id);
  return ids;
}

}  // namespace weft
