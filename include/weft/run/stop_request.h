#pragma once
// Requests to stop early and be continued later: SIGUSR1, SIGTERM, SIGINT and a time limit all mean
// "finish the step, save, exit with 75". Each rank knows only of its own: before they act on it,
// the ranks must agree.

#include <optional>
#include <string>

namespace weft {

/// Exit code of a job that was stopped and can be continued.
inline constexpr int stopped_exit_code = 75;

class StopRequest {
 public:
  /// Takes over the three signals, except one that the process was started to ignore (nohup).
  /// Interrupted calls go on. A second SIGINT or SIGTERM ends the process as if nothing had been
  /// taken over; a SIGTERM within 3 s of the first is the same request: a batch system sends one to
  /// every process, and so does the launcher after it.
  static void install();

  /// Asks to stop at `at` (s, now_seconds()). `what`: "time limit of 3600 s". Of several the
  /// earliest counts. On the main thread.
  static void set_deadline(double at, const std::string& what);

  /// Why to stop now: "SIGUSR1", "time limit of 3600 s"; nothing when there is no reason.
  /// `margin`: what is left to do before a deadline takes so long, s (stop_margin()).
  static std::optional<std::string> pending(double margin = 0);

  /// Forgets signals and deadlines, for the next job of the same process.
  static void clear();
};

/// Seconds to keep free before a deadline: to finish a step as long as the longest so far and to
/// save, at least 60 s.
double stop_margin(double longest_step);

/// A length of time in seconds. "90", "90s", "15m", "2h", "1.5d", "1h30m", and Slurm's forms
/// "15:00" (minutes:seconds), "1:30:00", "1-12" (days-hours), "1-12:30", "1-12:00:00". InputError
/// for anything else, and for 0.
double parse_duration(const std::string& text);

/// Seconds until Slurm ends this job (SLURM_JOB_END_TIME); nothing outside Slurm, or where it does
/// not tell. Negative when that time has passed.
std::optional<double> slurm_seconds_left();

}  // namespace weft
