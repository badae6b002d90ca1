// The handler may run at any instruction of any thread: it only reads atomics and calls what POSIX
// allows in a handler.
#include "mapped_faults.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>

#include <unistd.h>

namespace weft {
namespace {

struct MappedRange {
  std::atomic<std::uintptr_t> begin = 0;  // 0: a free place; written last, cleared first
  std::atomic<std::uintptr_t> end = 0;
  std::array<char, 1024> line{};  // what to say, whole
  std::atomic<std::size_t> length = 0;
};

constexpr std::size_t max_ranges = 256;  // a large model has some 30 shards

std::array<MappedRange, max_ranges>& ranges() {
  static std::array<MappedRange, max_ranges> all;
  return all;
}

std::mutex& writers() {
  static std::mutex mutex;
  return mutex;
}

struct sigaction before {};

void pass_on(int signal, siginfo_t* info, void* context) {
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    // Blocked until this handler returns; then the default action ends the process.
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (const MappedRange& r : ranges()) {
    const std::uintptr_t begin = r.begin.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address >= r.end.load(std::memory_order_relaxed)) continue;
    const auto written = ::write(STDERR_FILENO, r.line.data(), r.length.load());
    static_cast<void>(written);  // nobody is left to be told
    ::_exit(1);
  }
  pass_on(signal, info, context);
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    static_cast<void>(ranges());  // made here, not in the handler
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &before);
  });
}

void set_line(MappedRange& range, const std::string& file) {
  const std::string start = "error: ";
  const std::string end =
      ": a part of it can no longer be read: it was shortened or replaced while it was in use, or "
      "its storage failed\n";
  const std::string text =
      start + file.substr(0, range.line.size() - start.size() - end.size()) + end;
  std::memcpy(range.line.data(), text.data(), text.size());
  range.length = text.size();
}

}  // namespace

void name_faults(const void* data, std::size_t bytes, const std::string& file) {
  install_handler();
  const std::scoped_lock lock(writers());
  for (MappedRange& r : ranges()) {
    if (r.begin != 0) continue;
    set_line(r, file);
    const auto begin = reinterpret_cast<std::uintptr_t>(data);
    r.end.store(begin + bytes, std::memory_order_relaxed);
    r.begin.store(begin, std::memory_order_release);
    return;
  }
}

void forget_faults(const void* data) {
  const std::scoped_lock lock(writers());
  for (MappedRange& r : ranges()) {
    if (r.begin == reinterpret_cast<std::uintptr_t>(data)) r.begin = 0;
  }
}

}  // namespace weft
