#pragma once
// Names a process so that another one on the same machine can end it without hitting a stranger.

#include <cstdint>

namespace weft {

struct ProcessName {
  std::uint64_t host = 0;   // machine and space of process numbers; equal: `pid` means the same
  std::int64_t pid = 0;     // 0: no process
  std::uint64_t start = 0;  // when it started: a number that was given away again is not it
};

ProcessName this_process();

/// SIGKILL, when the process is on this machine and still the same one; it also ends a stopped one.
void kill_if_here(const ProcessName& process);

}  // namespace weft
