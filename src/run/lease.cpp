#include "weft/run/lease.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include <unistd.h>

#include "weft/base/error.h"
#include "weft/base/log.h"

#include "lease_file.h"
#include "lease_record.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr double beats_per_timeout = 6;
/// Somebody's mistaken take-over puts a living lease back within microseconds; a missing file is
/// believed after this long.
constexpr double longest_gap = 0.2;

/// Seconds that go on counting while the machine sleeps and do not follow the wall clock.
double clock_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

fs::path lease_path(const fs::path& folder) { return folder / "lease"; }

}  // namespace

// ---- the observer
// --------------------------------------------------------------------------------

LeaseWatch::LeaseWatch(double timeout_seconds) : timeout_(timeout_seconds) {
  WEFT_ASSERT(timeout_seconds > 0, "a lease timeout of {} s", timeout_seconds);
}

LeaseLook LeaseWatch::look(const fs::path& folder) {
  const double before = clock_seconds();
  std::optional<FileSeen> file = read_file(lease_path(folder));
  if (!file) {
    seen_.erase(folder);
    return {};
  }
  LeaseLook look{.exists = true,
                 .stale = false,
                 .info = parse_lease(file->content),
                 .content = std::move(file->content),
                 .inode = file->inode};
  if (look.info && process_is_gone(*look.info)) {
    look.stale = true;
    return look;
  }
  const auto [seen, is_new] = seen_.try_emplace(folder);
  if (is_new || seen->second.content != look.content || seen->second.inode != look.inode) {
    // From after the first look to before the last: never longer than the beat really stood still,
    // however long this process itself was stopped.
    seen->second = {look.content, look.inode, clock_seconds()};
    return look;
  }
  const double patience = std::max(timeout_, look.info ? look.info->timeout : 0.0);
  look.stale = before - seen->second.since > patience;
  return look;
}

// ---- the owner
// -----------------------------------------------------------------------------------

struct Lease::State {
  fs::path folder;
  LeaseInfo info;
  std::optional<LeaseInfo> taken_from;
  FileHandle file;  // our inode, whatever becomes of its name

  std::atomic<double> confirmed{0};  // when the last beat that proved ours began
  std::atomic<bool> lost{false};
  std::atomic<std::uint64_t> failures{0};

  std::timed_mutex disk;  // one beat or one check at a time

  std::mutex mutex;  // of what follows
  std::condition_variable changed;
  LeaseStatus status;
  bool stopping = false;
  bool released = false;

  std::thread thread;

  [[nodiscard]] double seconds_left() const {
    return confirmed.load() + info.timeout - clock_seconds();
  }
  [[nodiscard]] bool name_is_ours() const;
  void check();
  void beat(std::uint64_t number);
  void run();
};

bool Lease::State::name_is_ours() const {
  const double until = clock_seconds() + std::min(longest_gap, info.timeout / beats_per_timeout);
  for (;;) {
    // The token alone, so that a half-written beat of our own is still ours.
    if (const auto named = read_file(lease_path(folder))) {
      return named->content.find("\ntoken " + info.token + "\n") != std::string::npos;
    }
    if (clock_seconds() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void Lease::State::check() {
  try {
    if (!name_is_ours()) lost = true;
  } catch (const std::exception&) {
    ++failures;
  }
}

void Lease::State::beat(std::uint64_t number) {
  LeaseInfo now = info;
  now.beat = number;
  {
    const std::lock_guard lock(mutex);
    now.status = status;
  }
  const std::lock_guard lock(disk);
  // The time of before writing: an observer cannot have seen this beat any earlier.
  const double begin = clock_seconds();
  // Stopped for too long: whoever watches may be taking over at this moment.
  if (seconds_left() <= 0) lost = true;
  if (lost) return;
  write_file(file.get(), format_lease(now), lease_path(folder));
  if (::fdatasync(file.get()) != 0) fail("the beat did not reach the disk");
  if (name_is_ours()) {
    confirmed = begin;
  } else {
    lost = true;
  }
}

void Lease::State::run() {
  for (std::uint64_t number = 1; !lost; ++number) {
    {
      std::unique_lock lock(mutex);
      const std::chrono::duration<double> pause(info.timeout / beats_per_timeout);
      if (changed.wait_for(lock, pause, [&] { return stopping; })) return;
    }
    try {
      beat(number);
    } catch (const std::exception&) {
      ++failures;
    }
  }
}

Lease::Lease(std::unique_ptr<State> state) : state_(std::move(state)) {}
Lease::Lease(Lease&&) noexcept = default;

Lease& Lease::operator=(Lease&& other) noexcept {
  release();
  state_ = std::move(other.state_);
  return *this;
}

Lease::~Lease() { release(); }

std::optional<Lease> Lease::try_take(const fs::path& folder, LeaseWatch& watch,
                                     const std::string& worker) {
  const LeaseLook look = watch.look(folder);
  if (look.exists && !look.stale) return std::nullopt;
  auto state = std::make_unique<State>();
  if (look.stale) {
    const bool removed = remove_if(lease_path(folder), [&](const FileSeen& file) {
      return file.inode == look.inode && file.content == look.content;
    });
    if (!removed) return std::nullopt;
    state->taken_from = look.info.value_or(LeaseInfo{});
  }
  state->folder = folder;
  state->info = this_process(watch.timeout(), worker);
  state->confirmed = clock_seconds();
  auto file = create_exclusively(lease_path(folder), format_lease(state->info));
  if (!file) return std::nullopt;
  state->file = std::move(*file);
  Lease lease(std::move(state));  // from here on released whatever happens
  lease.state_->thread = std::thread([owner = lease.state_.get()] { owner->run(); });
  return lease;
}

bool Lease::still_mine() {
  State& s = *state_;
  std::unique_lock lock(s.disk, std::defer_lock);
  // A beat that hangs in the file system holds the lock: waiting ends when the lease does.
  const std::chrono::duration<double> left(std::max(s.seconds_left(), 0.0));
  if (!s.lost && lock.try_lock_for(left)) s.check();
  if (s.seconds_left() <= 0) s.lost = true;
  return !s.lost;
}

void Lease::set_status(LeaseStatus status) {
  const std::lock_guard lock(state_->mutex);
  state_->status = std::move(status);
}

void Lease::release() {
  if (!state_ || state_->released) return;
  state_->released = true;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
  try {
    const std::string mine = "\ntoken " + state_->info.token + "\n";
    remove_if(lease_path(state_->folder),
              [&](const FileSeen& file) { return file.content.find(mine) != std::string::npos; });
  } catch (const std::exception& e) {
    log_warn("the lease in {} stays until others judge it stale: {}", state_->folder.string(),
             e.what());
  }
  state_->lost = true;
}

const fs::path& Lease::folder() const { return state_->folder; }
const LeaseInfo& Lease::info() const { return state_->info; }
std::uint64_t Lease::failed_beats() const { return state_->failures; }
const std::optional<LeaseInfo>& Lease::taken_from() const { return state_->taken_from; }

}  // namespace weft
