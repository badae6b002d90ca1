#include "weft/run/stop_request.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>
#include <string_view>
#include <vector>

#include "weft/base/error.h"
#include "weft/base/stages.h"

namespace weft {
namespace {

constexpr std::int64_t same_request_seconds = 3;

// All that the handler touches.
std::atomic<int> first_signal{0};
std::atomic<std::int64_t> first_end_time{-1};  // of SIGINT or SIGTERM, s, monotonic; -1: none yet
static_assert(std::atomic<int>::is_always_lock_free &&
              std::atomic<std::int64_t>::is_always_lock_free);

struct Deadline {
  double at = std::numeric_limits<double>::infinity();
  std::string what;
} deadline;

extern "C" void note_signal(int signal) {
  const int saved_errno = errno;
  int none = 0;
  first_signal.compare_exchange_strong(none, signal);
  if (signal != SIGUSR1) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    std::int64_t never = -1;
    const bool again = !first_end_time.compare_exchange_strong(never, now.tv_sec);
    if (again && (signal == SIGINT || now.tv_sec - never >= same_request_seconds)) {
      // Delivered when this handler returns.
      struct sigaction usual {};
      usual.sa_handler = SIG_DFL;
      ::sigaction(signal, &usual, nullptr);
      ::raise(signal);
    }
  }
  errno = saved_errno;
}

const char* name_of(int signal) {
  return signal == SIGUSR1 ? "SIGUSR1" : signal == SIGTERM ? "SIGTERM" : "SIGINT";
}

[[noreturn]] void refuse(const std::string& text) {
  fail_input(
      "\"{}\" is not a length of time: expected seconds (90), a unit (90s, 15m, 2h, 1h30m) or "
      "Slurm's forms (1:30:00, 1-12:00:00), more than 0",
      text);
}

/// A number at the front of `rest`, taken off it. Digits, and a point when `whole` is false.
double take_number(std::string_view& rest, bool whole, const std::string& text) {
  const std::size_t end = rest.find_first_not_of(whole ? "0123456789" : "0123456789.");
  const std::string_view digits = rest.substr(0, end);
  double value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || stop != digits.data() + digits.size()) refuse(text);
  rest.remove_prefix(digits.size());
  return value;
}

/// "1h30m": numbers with units, each unit smaller than the one before.
double parse_units(const std::string& text) {
  std::string_view rest = text;
  double total = 0;
  double last_unit = std::numeric_limits<double>::infinity();
  do {
    const double number = take_number(rest, false, text);
    double unit = 1;
    if (!rest.empty()) {
      constexpr std::string_view letters = "smhd";
      constexpr std::array<double, 4> seconds{1, 60, 3600, 86400};
      const std::size_t which = letters.find(rest.front());
      if (which == std::string_view::npos) refuse(text);
      unit = seconds[which];
      rest.remove_prefix(1);
    } else if (std::isfinite(last_unit)) {
      refuse(text);  // "1h30": minutes or seconds?
    }
    if (unit >= last_unit) refuse(text);
    last_unit = unit;
    total += number * unit;
  } while (!rest.empty());
  return total;
}

/// "15:00", "1:30:00", "1-12", "1-12:30", "1-12:00:00".
double parse_slurm_form(const std::string& text) {
  std::string_view rest = text;
  std::vector<double> fields{take_number(rest, true, text)};
  const bool days = !rest.empty() && rest.front() == '-';
  while (!rest.empty()) {
    if (rest.front() != (days && fields.size() == 1 ? '-' : ':')) refuse(text);
    rest.remove_prefix(1);
    fields.push_back(take_number(rest, true, text));
  }
  if (fields.size() > (days ? 4U : 3U)) refuse(text);
  constexpr std::array<double, 4> units{86400, 3600, 60, 1};
  constexpr std::array<double, 4> limits{0, 24, 60, 60};
  // With days the first field is days, without them the last one is seconds.
  const std::size_t first = days ? 0 : units.size() - fields.size();
  double total = 0;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0 && fields[i] >= limits[first + i]) refuse(text);
    total += fields[i] * units[first + i];
  }
  return total;
}

}  // namespace

void StopRequest::install() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) {
    struct sigaction before {};
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    if (::sigaction(signal, &action, nullptr) != 0) {
      fail("{} cannot be handled: {}", name_of(signal), std::strerror(errno));
    }
  }
}

void StopRequest::set_deadline(double at, const std::string& what) {
  if (at < deadline.at) deadline = {at, what};
}

std::optional<std::string> StopRequest::pending(double margin) {
  if (const int signal = first_signal; signal != 0) return name_of(signal);
  if (now_seconds() + margin >= deadline.at) return deadline.what;
  return {};
}

void StopRequest::clear() {
  first_signal = 0;
  first_end_time = -1;
  deadline = {};
}

double stop_margin(double longest_step) { return std::max(60.0, 2 * longest_step); }

double parse_duration(const std::string& text) {
  const bool slurm_form = text.find_first_of(":-") != std::string::npos;
  const double seconds = slurm_form ? parse_slurm_form(text) : parse_units(text);
  if (!(seconds > 0) || !std::isfinite(seconds)) refuse(text);
  return seconds;
}

std::optional<double> slurm_seconds_left() {
  const char* end = std::getenv("SLURM_JOB_END_TIME");
  if (end == nullptr) return {};
  std::int64_t epoch = 0;
  const char* last = end + std::strlen(end);
  const auto [stop, error] = std::from_chars(end, last, epoch);
  if (error != std::errc() || stop != last || epoch <= 0) return {};
  using Seconds = std::chrono::duration<double>;
  const Seconds now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(epoch) - now.count();
}

}  // namespace weft
