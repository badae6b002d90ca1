#include "lease_record.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <sstream>

#include <unistd.h>

#include "weft/base/error.h"

#include "lease_file.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t record_bytes = 1024;
constexpr const char* first_line = "weft-lease 1";

/// One line of at most `most` bytes.
std::string tidy(std::string text, std::size_t most) {
  if (text.size() > most) text.resize(most);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

std::string checksum(std::string_view text) {  // FNV-1a
  std::uint64_t sum = 14695981039346656037ULL;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{:016x}", sum);
}

template <class Number>
bool read_number(const std::string& text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// False when a number is not one; keys of later versions are passed over.
bool set_field(LeaseInfo& info, const std::string& key, const std::string& value) {
  if (key == "token") info.token = value;
  if (key == "host") info.host = value;
  if (key == "machine") info.machine = value;
  if (key == "worker") info.worker = value;
  if (key == "slurm_job") info.slurm_job = value;
  if (key == "slurm_task") info.slurm_task = value;
  if (key == "state") info.status.state = value;
  if (key == "pid") return read_number(value, info.pid);
  if (key == "process_start") return read_number(value, info.process_start);
  if (key == "timeout") return read_number(value, info.timeout);
  if (key == "beat") return read_number(value, info.beat);
  if (key == "step") return read_number(value, info.status.step);
  if (key == "steps") return read_number(value, info.status.steps);
  if (key == "eta_seconds") return read_number(value, info.status.eta_seconds);
  return true;
}

struct ProcessStat {
  char state = '?';
  std::uint64_t start = 0;
};

std::optional<ProcessStat> process_stat(const std::string& pid) {
  std::optional<FileSeen> file;
  try {
    file = read_file("/proc/" + pid + "/stat");
  } catch (const Error&) {  // ended between opening and reading
  }
  if (!file) return std::nullopt;
  // "PID (NAME) STATE ...": the name may hold anything. The start time is field 22.
  const std::size_t name_end = file->content.rfind(") ");
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(file->content.substr(name_end + 2));
  ProcessStat stat;
  fields >> stat.state;
  std::string skipped;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  fields >> stat.start;
  return fields ? std::optional(stat) : std::nullopt;
}

/// Where equal process ids are the same process: one boot of one kernel, one process namespace.
/// Empty when the system does not tell.
std::string find_machine() {
  const std::optional<FileSeen> boot = read_file("/proc/sys/kernel/random/boot_id");
  std::error_code error;
  const fs::path names = fs::read_symlink("/proc/self/ns/pid", error);
  if (!boot || error) return "";
  return boot->content.substr(0, boot->content.find('\n')) + " " + names.string();
}

const std::string& this_machine() {
  static const std::string machine = find_machine();
  return machine;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string format_lease(const LeaseInfo& info) {
  std::string text = fmt::format(
      "{}\ntoken {}\nhost {}\npid {}\nprocess_start {}\nmachine {}\nworker {}\nslurm_job {}\n"
      "slurm_task {}\ntimeout {}\nbeat {}\nstate {}\nstep {}\nsteps {}\neta_seconds {}\n",
      first_line, tidy(info.token, 40), tidy(info.host, 80), info.pid, info.process_start,
      tidy(info.machine, 120), tidy(info.worker, 200), tidy(info.slurm_job, 40),
      tidy(info.slurm_task, 40), info.timeout, info.beat, tidy(info.status.state, 80),
      info.status.step, info.status.steps, info.status.eta_seconds);
  text += "checksum " + checksum(text) + "\n";
  WEFT_ASSERT(text.size() <= record_bytes, "a lease of {} bytes", text.size());
  text.resize(record_bytes, '\n');  // one length: a beat overwrites all of the beat before
  return text;
}

std::optional<LeaseInfo> parse_lease(const std::string& text) {
  const std::size_t sum_at = text.rfind("checksum ");
  if (text.size() != record_bytes || sum_at == std::string::npos) return std::nullopt;
  const std::string body = text.substr(0, sum_at);
  if (text.compare(sum_at + 9, 16, checksum(body)) != 0) return std::nullopt;
  std::istringstream lines(body);
  std::string line;
  if (!std::getline(lines, line) || line != first_line) return std::nullopt;
  LeaseInfo info;
  while (std::getline(lines, line)) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) return std::nullopt;
    if (!set_field(info, line.substr(0, space), line.substr(space + 1))) return std::nullopt;
  }
  return info.token.empty() ? std::nullopt : std::optional(info);
}

LeaseInfo this_process(double timeout, const std::string& worker) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  LeaseInfo info;
  info.token = random_token();
  info.host = host.data();
  info.machine = this_machine();
  info.worker = worker;
  info.pid = ::getpid();
  if (const auto stat = process_stat("self")) info.process_start = stat->start;
  const std::string array_job = environment("SLURM_ARRAY_JOB_ID");
  info.slurm_job = array_job.empty() ? environment("SLURM_JOB_ID") : array_job;
  info.slurm_task = environment("SLURM_ARRAY_TASK_ID");
  info.timeout = timeout;
  return info;
}

bool process_is_gone(const LeaseInfo& info) {
  if (info.machine.empty() || info.machine != this_machine() || info.pid <= 0) return false;
  if (const auto stat = process_stat(std::to_string(info.pid))) {
    // A zombie has ended; only its parent has not asked yet.
    return stat->state == 'Z' || stat->state == 'X' || stat->start != info.process_start;
  }
  // /proc may hide the processes of other users; their ids can be asked for all the same.
  return ::kill(static_cast<pid_t>(info.pid), 0) != 0 && errno == ESRCH;
}

}  // namespace weft
