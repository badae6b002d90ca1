// Preloaded: a machine of 4 MB, where models cannot stay in memory side by side.
#include <dlfcn.h>
#include <unistd.h>

extern "C" long sysconf(int name) noexcept {
  static const auto real = reinterpret_cast<long (*)(int)>(::dlsym(RTLD_NEXT, "sysconf"));
  constexpr long bytes = 4 << 20;
  return name == _SC_PHYS_PAGES ? bytes / real(_SC_PAGESIZE) : real(name);
}
