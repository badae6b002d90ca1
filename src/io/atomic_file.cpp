#include "weft/io/atomic_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "weft/base/error.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void sync_to_disk(const fs::path& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0)
    fail("cannot open {} to bring it to the disk: {}", path.string(), std::strerror(errno));
  int result = 0;
  do result = ::fsync(file);
  while (result != 0 && errno == EINTR);
  const int sync_error = result == 0 ? 0 : errno;
  const int close_error = ::close(file) == 0 ? 0 : errno;
  // Some network file systems cannot fsync a folder (EINVAL); their rename is synchronous.
  const bool folder_without_fsync = (flags & O_DIRECTORY) != 0 && sync_error == EINVAL;
  if (sync_error != 0 && !folder_without_fsync) {
    fail("fsync of {} failed: {}; is the disk or quota full?", path.string(),
         std::strerror(sync_error));
  }
  if (close_error != 0) fail("closing {} failed: {}", path.string(), std::strerror(close_error));
}

}  // namespace

void remove_unfinished(const fs::path& final_path) {
  const std::string before = "." + final_path.filename().string() + ".";
  const std::string after = ".tmp" + final_path.extension().string();
  std::error_code error;  // an unreadable folder is told by whoever writes into it
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(folder_of(final_path), error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(before) || !name.ends_with(after)) continue;
    if (name.size() <= before.size() + after.size()) continue;
    const auto pid =
        std::string_view(name).substr(before.size(), name.size() - before.size() - after.size());
    if (pid.find_first_not_of("0123456789") == std::string_view::npos) {
      found.push_back(entry->path());
    }
  }
  for (const fs::path& path : found) fs::remove(path, error);
}

AtomicPath::AtomicPath(fs::path final_path) : final_(std::move(final_path)) {
  const fs::path folder = folder_of(final_);
  std::error_code error;
  if (!final_.has_filename() || fs::is_directory(final_, error)) {
    fail("{} is a folder; the name of a file to write is needed", final_.string());
  }
  if (!fs::is_directory(folder, error)) {
    fail("cannot write {}: the folder {} does not exist; make it or name another", final_.string(),
         folder.string());
  }
  temporary_ = folder / ("." + final_.filename().string() + "." + std::to_string(::getpid()) +
                         ".tmp" + final_.extension().string());
}

AtomicPath::~AtomicPath() {
  if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicPath::commit(const fs::path& previous) {
  WEFT_ASSERT(!committed_, "{} committed twice", final_.string());
  sync_to_disk(temporary_, O_RDONLY);
  std::error_code none_there;
  if (!previous.empty()) fs::rename(final_, previous, none_there);
  if (::rename(temporary_.c_str(), final_.c_str()) != 0) {
    fail("cannot rename {} to {}: {}", temporary_.string(), final_.string(), std::strerror(errno));
  }
  committed_ = true;
  sync_to_disk(folder_of(final_), O_RDONLY | O_DIRECTORY);
}

void write_text_file(const fs::path& path, std::string_view text) {
  AtomicPath file(path);
  std::ofstream out(file.temporary(), std::ios::binary);
  out << text;
  out.close();
  if (!out) fail("cannot write {}: {}", path.string(), std::strerror(errno));
  file.commit();
}

}  // namespace weft
