// Preloaded: every look at the wall clock finds it somewhere else, as on a node whose clock is set
// while a job runs. Clocks that only go forward are left alone.
#include <atomic>
#include <cstdint>
#include <ctime>

#include <dlfcn.h>
#include <sys/time.h>

namespace {

constexpr std::int64_t day = 86400;

/// Seconds off: a day ahead, a year behind, right, an hour behind, ...
std::int64_t jump() {
  static std::atomic<unsigned> looks{0};
  constexpr std::int64_t jumps[] = {day, -365 * day, 0, -3600, 10 * day, 61, -61};
  return jumps[looks++ % (sizeof jumps / sizeof *jumps)];
}

bool is_wall_clock(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

}  // namespace

extern "C" {
int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static const auto real =
      reinterpret_cast<int (*)(clockid_t, timespec*)>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = real(clock, now);
  if (result == 0 && is_wall_clock(clock)) now->tv_sec += jump();
  return result;
}
int gettimeofday(timeval* __restrict now, void* __restrict) noexcept {
  timespec precise{};
  if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
  *now = {precise.tv_sec, precise.tv_nsec / 1000};
  return 0;
}
std::time_t time(std::time_t* now) noexcept {
  timespec precise{};
  clock_gettime(CLOCK_REALTIME, &precise);
  if (now != nullptr) *now = precise.tv_sec;
  return precise.tv_sec;
}
}
