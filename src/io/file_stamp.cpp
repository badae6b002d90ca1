#include "weft/io/file_stamp.h"

#include <cerrno>
#include <cstring>
#include <ctime>

#include <fmt/chrono.h>
#include <sys/stat.h>

#include "weft/base/error.h"

#include "mapped_file.h"

namespace weft {

FileStamp stamp_of(const struct stat& status) {
  return {static_cast<std::uintmax_t>(status.st_size),
          std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

FileStamp FileStamp::of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    fail("{}: cannot stat: {}", path.string(), std::strerror(errno));
  }
  return stamp_of(status);
}

std::string FileStamp::str() const {
  const std::time_t seconds = modified / 1'000'000'000;
  return fmt::format("{} bytes of {:%Y-%m-%d %H:%M:%S} UTC", bytes, fmt::gmtime(seconds));
}

}  // namespace weft
