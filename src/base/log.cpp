#include "weft/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace weft {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = spdlog::stderr_color_mt("weft");
    made->set_pattern("[%H:%M:%S] %^%l%$ %v");
    return made;
  }();
  return *instance;
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

void log_init(LogLevel level, int rank) {
  logger().set_level(to_spdlog(level));
  logger().set_pattern(rank < 0 ? "[%H:%M:%S] %^%l%$ %v"
                                : fmt::format("[%H:%M:%S] %^%l%$ rank {}: %v", rank));
}

void log_line(LogLevel level, const std::string& line) {
  logger().log(to_spdlog(level), "{}", line);
}

}  // namespace weft
