#pragma once
// One line per event, on standard error, prefixed by the rank when there are several.

#include <filesystem>
#include <memory>
#include <string>

#include <fmt/format.h>

namespace weft {

enum class LogLevel { debug, info, warn, error, off };

/// `rank` < 0: no rank in the prefix.
void log_init(LogLevel level, int rank);
void log_line(LogLevel level, const std::string& line);

/// The time as files keep it: UTC, ISO 8601, "2026-11-27T13:05:00Z".
std::string utc_now();

/// Lines also go to the end of a file, with the date, for as long as this lives. A file that cannot
/// be written is told once and left alone.
class LogFile {
 public:
  explicit LogFile(const std::filesystem::path& path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

 private:
  struct Sink;
  std::unique_ptr<Sink> sink_;
};

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace weft
