#include "heartbeat_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace weft {
namespace {

/// A short file of /proc; "" when it cannot be read.
std::string read_short(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 1024> text{};
  const ssize_t n = ::read(fd, text.data(), text.size());
  ::close(fd);
  return {text.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
}

/// Clock ticks from boot to the start of a process (field 22); 0 when there is no such process.
std::uint64_t start_of(std::int64_t pid) {
  const std::string stat = read_short(fmt::format("/proc/{}/stat", pid).c_str());
  // Field 2 is the name in parentheses and may itself hold spaces and parentheses.
  std::size_t at = stat.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  return at == std::string::npos ? 0 : std::strtoull(stat.c_str() + at, nullptr, 10);
}

std::uint64_t hash(std::string_view text) {  // FNV-1a
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return h;
}

/// The boot tells machines apart, the namespace tells containers apart.
std::uint64_t host_number() {
  std::string machine = read_short("/proc/sys/kernel/random/boot_id");
  std::array<char, 256> text{};
  if (machine.empty() && ::gethostname(text.data(), text.size() - 1) == 0) machine = text.data();
  text.fill('\0');
  if (::readlink("/proc/self/ns/pid", text.data(), text.size() - 1) > 0) machine += text.data();
  return hash(machine);
}

}  // namespace

ProcessName this_process() {
  const auto pid = static_cast<std::int64_t>(::getpid());
  return {host_number(), pid, start_of(pid)};
}

void kill_if_here(const ProcessName& process) {
  if (process.pid <= 1 || process.start == 0 || process.pid == ::getpid()) return;
  if (process.host != host_number() || start_of(process.pid) != process.start) return;
  ::kill(static_cast<pid_t>(process.pid), SIGKILL);
}

}  // namespace weft
