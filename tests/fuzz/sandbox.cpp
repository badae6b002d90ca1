#include "sandbox.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/base/error.h"
#include "weft/base/log.h"

namespace weft::fuzz {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> watching = false;
std::string allowed;  // folder() with a slash, set before `watching`

struct Folder {
  fs::path path;
  Folder() {
    std::string name = "/dev/shm/weft_fuzz_XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
    allowed = name + "/";
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

/// Aborts when a parser opens what it was not given. The test data of the repository stand in for
/// the files beside the fuzzed one.
void check_opened(const char* path) {
  if (!watching || path == nullptr) return;
  const std::string_view opened(path);
  const bool inside = opened.starts_with(allowed) && opened.find("/../") == std::string_view::npos;
  // What libraries read about the machine, not about the input; where a finding is kept.
  if (inside || opened.starts_with(WEFT_ROOT "/tests/golden/") ||
      opened.starts_with(WEFT_ROOT "/models/") || opened.starts_with("/proc/self/") ||
      opened.find("findings/") != std::string_view::npos ||
      opened.starts_with("/sys/devices/system/cpu") || opened.starts_with("/etc/localtime") ||
      opened.starts_with("/usr/share/zoneinfo/")) {
    return;
  }
  watching = false;
  std::fprintf(stderr, "==%d== ERROR: a parser opened %s, outside its folder\n", ::getpid(), path);
  std::abort();
}

/// No input may make a parser start a program.
[[noreturn]] void refuse_command(const char* what) {
  std::fprintf(stderr, "==%d== ERROR: a parser started a program (%s)\n", ::getpid(), what);
  std::abort();
}

template <class F>
F next(const char* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

const fs::path& folder() {
  static const Folder made;
  return made.path;
}

fs::path write(const fs::path& name, std::string_view bytes) {
  const fs::path path = folder() / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

void only_errors(const std::function<void()>& parse) {
  folder();
  watching = true;
  try {
    parse();
  } catch (const Error& e) {
    watching = false;
    if (std::string_view(e.what()).starts_with("bug in weft")) throw;
  }
  watching = false;
}

}  // namespace weft::fuzz

// The linker lets these stand in for libc's own in every shared library of the process.
extern "C" {
int open(const char* path, int flags, ...) {
  static const auto real = weft::fuzz::next<int (*)(const char*, int, ...)>("open");
  std::va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  weft::fuzz::check_opened(path);
  return real(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  static const auto real = weft::fuzz::next<int (*)(const char*, int, ...)>("open64");
  std::va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  weft::fuzz::check_opened(path);
  return real(path, flags, mode);
}
std::FILE* fopen(const char* path, const char* mode) {
  static const auto real = weft::fuzz::next<std::FILE* (*)(const char*, const char*)>("fopen");
  weft::fuzz::check_opened(path);
  return real(path, mode);
}
int execve(const char* path, char* const arguments[], char* const environment[]) noexcept {
  static const auto real =
      weft::fuzz::next<int (*)(const char*, char* const[], char* const[])>("execve");
  if (weft::fuzz::watching) weft::fuzz::refuse_command(path);
  return real(path, arguments, environment);
}
int system(const char* command) {
  static const auto real = weft::fuzz::next<int (*)(const char*)>("system");
  if (weft::fuzz::watching) weft::fuzz::refuse_command(command);
  return real(command);
}
std::FILE* popen(const char* command, const char* mode) {
  static const auto real = weft::fuzz::next<std::FILE* (*)(const char*, const char*)>("popen");
  if (weft::fuzz::watching) weft::fuzz::refuse_command(command);
  return real(command, mode);
}
pid_t fork() noexcept {
  static const auto real = weft::fuzz::next<pid_t (*)()>("fork");
  if (weft::fuzz::watching) weft::fuzz::refuse_command("fork");
  return real();
}
std::FILE* fopen64(const char* path, const char* mode) {
  static const auto real = weft::fuzz::next<std::FILE* (*)(const char*, const char*)>("fopen64");
  weft::fuzz::check_opened(path);
  return real(path, mode);
}
}
