#include "weft/base/log.h"

#include <ctime>

#include <fmt/chrono.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/dist_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace weft {
namespace {

/// Where lines go: the console, and files that come and go while other threads log.
struct Log {
  std::shared_ptr<spdlog::sinks::stderr_color_sink_mt> console =
      std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  std::shared_ptr<spdlog::sinks::dist_sink_mt> all =
      std::make_shared<spdlog::sinks::dist_sink_mt>(std::vector<spdlog::sink_ptr>{console});
  spdlog::logger logger{"weft", all};
  Log() { console->set_pattern("[%H:%M:%S] %^%l%$ %v"); }
};

Log& log() {
  static Log instance;
  return instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

}  // namespace

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

void log_init(LogLevel level, int rank) {
  log().logger.set_level(to_spdlog(level));
  log().console->set_pattern(rank < 0 ? "[%H:%M:%S] %^%l%$ %v"
                                      : fmt::format("[%H:%M:%S] %^%l%$ rank {}: %v", rank));
}

void log_line(LogLevel level, const std::string& line) {
  log().logger.log(to_spdlog(level), "{}", line);
}

struct LogFile::Sink {
  std::shared_ptr<spdlog::sinks::basic_file_sink_mt> file;
};

LogFile::LogFile(const std::filesystem::path& path) : sink_(std::make_unique<Sink>()) {
  try {
    sink_->file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
    sink_->file->set_pattern("%Y-%m-%d %H:%M:%S %l %v");
    log().all->add_sink(sink_->file);
  } catch (const spdlog::spdlog_ex& e) {
    log_warn("{}: no log is written: {}", path.string(), e.what());
  }
}

LogFile::~LogFile() {
  if (!sink_->file) return;
  log().all->remove_sink(sink_->file);
}

}  // namespace weft
