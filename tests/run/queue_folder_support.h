#pragma once
// Small jobs and processes of their own for the tests of the queue's folder.

#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/run/queue_folder.h"

namespace weft::test {

namespace fs = std::filesystem;

inline constexpr double timeout = 0.6;

inline QueueOptions options(const std::string& worker) {
  QueueOptions o;
  o.worker = worker;
  o.lease_timeout = timeout;
  return o;
}

inline std::vector<QueueJob> some_jobs(int count) {
  std::vector<QueueJob> jobs;
  for (int i = 0; i < count; ++i) {
    jobs.push_back({fmt::format("job-{}", i), fmt::format("prompt = 'number {}'\n", i),
                    Priority::normal, 1e15, i});
  }
  return jobs;
}

inline void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

inline double now_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

inline void pause_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// In a process of its own, which ends with this one and without any cleaning up.
inline pid_t in_child(const std::function<int()>& work) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int code = 99;
  try {
    code = work();
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
  }
  ::_exit(code);
}

inline int exit_code(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace weft::test
