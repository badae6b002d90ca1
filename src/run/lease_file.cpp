#include "lease_file.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/base/error.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr mode_t readable_by_all = 0644;

[[noreturn]] void fail_with(const char* what, const fs::path& path, int error) {
  fail("cannot {} {}: {}", what, path.string(), std::strerror(error));
}

int open_file(const fs::path& path, int flags) {
  int file = -1;
  do file = ::open(path.c_str(), flags | O_CLOEXEC, readable_by_all);
  while (file < 0 && errno == EINTR);
  return file;
}

void sync_file(const FileHandle& file, const fs::path& path) {
  int result = 0;
  do result = ::fsync(file.get());
  while (result != 0 && errno == EINTR);
  if (result != 0) fail_with("bring to the disk", path, errno);
}

/// A name beside `path` that no other process uses: ".NAME.TOKEN".
fs::path unique_beside(const fs::path& path) {
  return path.parent_path() / ("." + path.filename().string() + "." + random_token());
}

FileHandle write_new(const fs::path& path, std::string_view content) {
  FileHandle file(open_file(path, O_RDWR | O_CREAT | O_EXCL));
  if (!file) fail_with("create", path, errno);
  try {
    write_file(file.get(), content, path);
    sync_file(file, path);
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
  return file;
}

}  // namespace

FileHandle::~FileHandle() {
  if (file_ >= 0) ::close(file_);
}

std::optional<FileSeen> read_file(const fs::path& path) {
  // On NFS a file that is replaced while it is read is ESTALE: the new one is read instead.
  constexpr int tries = 3;
  for (int attempt = 1;; ++attempt) {
    const FileHandle file(open_file(path, O_RDONLY));
    int error = file ? 0 : errno;
    if (error == ENOENT || error == ENOTDIR) return std::nullopt;
    FileSeen seen;
    struct stat status {};
    if (error == 0 && ::fstat(file.get(), &status) != 0) error = errno;
    seen.inode = status.st_ino;
    std::array<char, 4096> part{};
    while (error == 0) {
      const ssize_t got = ::read(file.get(), part.data(), part.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) error = errno;
      if (got <= 0) break;
      seen.content.append(part.data(), static_cast<std::size_t>(got));
      if (static_cast<off_t>(seen.content.size()) == status.st_size) break;
    }
    if (error == 0) return seen;
    if (error != ESTALE || attempt == tries) fail_with("read", path, error);
  }
}

bool file_exists(const fs::path& path) {
  if (::access(path.c_str(), F_OK) == 0) return true;
  if (errno != ENOENT && errno != ENOTDIR) fail_with("look at", path, errno);
  return false;
}

void remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail_with("remove", path, errno);
}

void write_file(int file, std::string_view content, const fs::path& path) {
  std::size_t at = 0;
  while (at < content.size()) {
    const ssize_t wrote =
        ::pwrite(file, content.data() + at, content.size() - at, static_cast<off_t>(at));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) fail_with("write", path, wrote < 0 ? errno : ENOSPC);
    at += static_cast<std::size_t>(wrote);
  }
}

std::string random_token() {
  std::array<std::uint64_t, 2> bits{};
  const ssize_t got = ::getrandom(bits.data(), sizeof bits, 0);  // this few bytes: never partial
  if (got != static_cast<ssize_t>(sizeof bits)) {
    fail("the system gave no random numbers: {}", std::strerror(errno));
  }
  return fmt::format("{:016x}{:016x}", bits[0], bits[1]);
}

std::optional<FileHandle> create_exclusively(const fs::path& path, std::string_view content) {
  const fs::path temporary = unique_beside(path);
  FileHandle file = write_new(temporary, content);
  const int error = ::link(temporary.c_str(), path.c_str()) == 0 ? 0 : errno;
  // The reply of a network file system may be lost and the repeated request fail: the number of
  // names tells what really happened.
  struct stat status {};
  const bool linked = ::fstat(file.get(), &status) == 0 && status.st_nlink == 2;
  ::unlink(temporary.c_str());
  if (linked) return file;
  if (error == EEXIST || error == ENOENT) return std::nullopt;
  if (error == EPERM || error == EOPNOTSUPP || error == ENOSYS) {
    fail("cannot create {}: its file system has no hard links ({}); use a folder on one that has",
         path.string(), std::strerror(error));
  }
  fail_with("create", path, error != 0 ? error : EIO);
}

void replace_file(const fs::path& path, std::string_view content) {
  const fs::path temporary = unique_beside(path);
  write_new(temporary, content);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail_with("replace", path, error);
  }
}

bool remove_if(const fs::path& path, const std::function<bool(const FileSeen&)>& is_it) {
  // Looked at first, so that another's file is hardly ever moved at all.
  const std::optional<FileSeen> before = read_file(path);
  if (!before || !is_it(*before)) return false;
  const fs::path aside = unique_beside(path);
  const int error = ::rename(path.c_str(), aside.c_str()) == 0 ? 0 : errno;
  if (error != 0 && error != ENOENT) fail_with("rename", path, error);
  const std::optional<FileSeen> moved = read_file(aside);  // also after a lost reply
  if (!moved) return false;
  const bool right_one = is_it(*moved);
  // Not rename(): that would replace what a third one may have put there.
  if (!right_one) static_cast<void>(::link(aside.c_str(), path.c_str()));
  ::unlink(aside.c_str());
  return right_one;
}

void sync_folder(const fs::path& folder) {
  const FileHandle file(open_file(folder, O_RDONLY | O_DIRECTORY));
  if (!file) fail_with("open", folder, errno);
  // Some network file systems cannot do this (EINVAL); what they do to names is synchronous.
  if (::fsync(file.get()) != 0 && errno != EINVAL) fail_with("bring to the disk", folder, errno);
}

}  // namespace weft
