#include "queue_folder_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/base/error.h"
#include "weft/base/log.h"

#include "lease_file.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t longest_name = 128;
constexpr std::size_t longest_error = 2000;
constexpr std::array kind_names = {"failed", "lost", "retry"};

bool ends_with_newline(int file) {
  struct stat status {};
  char last = '\n';
  if (::fstat(file, &status) == 0 && status.st_size > 0) {
    static_cast<void>(::pread(file, &last, 1, status.st_size - 1));
  }
  return last == '\n';
}

/// None for half a line of a writer that was killed.
std::optional<Attempt> parse_attempt(const std::string& line) {
  std::istringstream fields(line);
  std::string time;
  std::string kind;
  std::string host;
  std::string worker;
  Attempt attempt;
  const bool whole = std::getline(fields, time, '\t') && std::getline(fields, kind, '\t') &&
                     std::getline(fields, host, '\t') && std::getline(fields, worker, '\t') &&
                     std::getline(fields, attempt.token, '\t');
  const auto* name = std::find(kind_names.begin(), kind_names.end(), kind);
  if (!whole || name == kind_names.end()) return std::nullopt;
  attempt.kind = static_cast<AttemptKind>(name - kind_names.begin());
  std::getline(fields, attempt.error);
  return attempt;
}

}  // namespace

std::string name_rule(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (name.empty()) return "is empty";
  if (name.front() == '.') return "starts with '.'";
  if (name.size() > longest_name) return fmt::format("is longer than {} bytes", longest_name);
  if (!std::all_of(name.begin(), name.end(), allowed)) {
    return "has other characters than letters, digits, '.', '_' and '-'";
  }
  return "";
}

std::string host_name() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return host.data();
}

std::string one_line(std::string text, std::size_t most) {
  if (text.size() > most) text.resize(most);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

void append_attempt(const fs::path& job_folder, const Attempt& attempt, const std::string& worker) {
  const fs::path path = job_folder / "attempts";
  constexpr mode_t world_readable = 0644;
  const FileHandle file(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, world_readable));
  if (!file) fail("cannot write {}: {}", path.string(), std::strerror(errno));
  const std::string line = fmt::format(
      "{}{}\t{}\t{}\t{}\t{}\t{}\n", ends_with_newline(file.get()) ? "" : "\n", utc_now(),
      kind_names.at(static_cast<std::size_t>(attempt.kind)), host_name(),
      worker.empty() ? "-" : worker, attempt.token, one_line(attempt.error, longest_error));
  const ssize_t wrote = ::write(file.get(), line.data(), line.size());  // one call: one line
  if (wrote != static_cast<ssize_t>(line.size()) || ::fsync(file.get()) != 0) {
    fail("cannot write {}: {}; is the disk or quota full?", path.string(),
         wrote < 0 ? std::strerror(errno) : "not all of the line was written");
  }
}

fs::path returned_path(const fs::path& job_folder, const std::string& token) {
  return job_folder / ("returned." + token);
}

AttemptCount count_attempts(const fs::path& job_folder) {
  AttemptCount count;
  const std::optional<FileSeen> file = read_file(job_folder / "attempts");
  if (!file) return count;
  std::istringstream lines(file->content);
  std::string line;
  while (std::getline(lines, line)) {
    const std::optional<Attempt> attempt = parse_attempt(line);
    if (!attempt) continue;
    if (attempt->kind == AttemptKind::retry) {
      count.failed = 0;
      count.lost = 0;
      continue;
    }
    count.last_error = attempt->error;
    if (attempt->kind == AttemptKind::lost) {
      ++count.lost;
    } else if (!file_exists(returned_path(job_folder, attempt->token))) {
      ++count.failed;
    }
  }
  return count;
}

std::string format_worker(const WorkerView& worker) {
  std::string text =
      fmt::format("weft-worker 1\nhost {}\nspeed {:.17g}\n", worker.host, worker.speed);
  for (const auto& failure : worker.failures) {
    text += fmt::format("failed {} {}\n", failure.job, failure.token);
  }
  return text;
}

WorkerView parse_worker(const std::string& name, const std::string& text, int block_after) {
  WorkerView worker;
  worker.name = name;
  std::set<std::string> jobs;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string key;
    fields >> key;
    if (key == "host") fields >> worker.host;
    if (key == "speed") fields >> worker.speed;
    WorkerView::Failure failure;
    if (key == "failed" && fields >> failure.job >> failure.token) {
      jobs.insert(failure.job);
      worker.failures.push_back(std::move(failure));
    }
  }
  worker.blocked = static_cast<int>(jobs.size()) >= block_after;
  return worker;
}

}  // namespace weft
