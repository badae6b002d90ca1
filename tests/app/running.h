#pragma once
// The program at work in the background, for tests that do something to it meanwhile.

#include <chrono>
#include <csignal>
#include <functional>
#include <map>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>

#include "program.h"

namespace weft::test {

inline void sleep_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Whether it comes true within that time.
inline bool within(double seconds, const std::function<bool()>& condition) {
  for (const double until = seconds_now() + seconds; !condition(); sleep_seconds(0.005)) {
    if (seconds_now() > until) return false;
  }
  return true;
}

/// A dead process that nobody has asked about (state Z) does not run.
inline bool runs(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = stat.rfind(')');
  return pid > 1 && name_end != std::string::npos && stat.substr(name_end, 3) != ") Z";
}

class Running {
 public:
  /// `ranks` 0: without mpirun. `environment`: further variables.
  explicit Running(const std::vector<std::string>& arguments, int ranks = 0,
                   const std::vector<std::pair<std::string, std::string>>& environment = {}) {
    prepare_mpi();
    std::vector<std::string> words;
    if (ranks > 0) words = {WEFT_MPIEXEC, "-n", std::to_string(ranks)};
    words.emplace_back(WEFT_PROGRAM);
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC;
    ::dup2(::open((logs_.path() / "out").c_str(), flags, 0600), STDOUT_FILENO);
    ::dup2(::open((logs_.path() / "err").c_str(), flags, 0600), STDERR_FILENO);
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~Running() {
    std::vector<pid_t> all = processes();
    if (!ended_) all.push_back(pid_);
    for (const pid_t pid : all) ::kill(pid, SIGKILL);
    if (!ended_) ::waitpid(pid_, nullptr, 0);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  /// Of mpirun, or of the program where there is none.
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::string err() const { return read_file(logs_.path() / "err"); }
  [[nodiscard]] std::string out() const { return read_file(logs_.path() / "out"); }

  /// Until its log has that text.
  [[nodiscard]] bool says(const std::string& text, double seconds = 60) {
    return within(seconds, [&] { return err().find(text) != std::string::npos || has_ended(); }) &&
           err().find(text) != std::string::npos;
  }

  /// The process of a rank; 0 when there is none (yet).
  pid_t rank(int number) {
    find_ranks();
    const auto found = ranks_.find(number);
    return found == ranks_.end() ? 0 : found->second;
  }
  /// Ranks that are still there, also when mpirun is not.
  std::vector<pid_t> processes() {
    find_ranks();
    std::vector<pid_t> alive;
    for (const auto& [number, pid] : ranks_) {
      if (runs(pid)) alive.push_back(pid);
    }
    return alive;
  }

  bool has_ended() {
    if (!ended_ && ::waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
    return ended_;
  }
  /// Waits so long at most: an exit code of -1 says that it goes on.
  Outcome wait(double seconds) {
    if (!within(seconds, [&] { return has_ended(); })) return {-1, out(), err()};
    return {WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_), out(), err()};
  }

 private:
  /// Children of mpirun with a rank's number in their environment.
  void find_ranks() {
    if (has_ended()) return;
    const std::string parent = std::to_string(pid_);
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const std::string stat = read_file(entry.path() / "stat");
      const auto name_end = stat.rfind(") ");
      if (name_end == std::string::npos) continue;
      if (stat.compare(name_end + 4, parent.size() + 1, parent + " ") != 0) continue;
      const std::string environment = read_file(entry.path() / "environ");
      const std::string variable = "OMPI_COMM_WORLD_RANK=";
      const auto at = environment.find(variable);
      if (at == std::string::npos) continue;
      ranks_[std::atoi(environment.c_str() + at + variable.size())] = std::stoi(name);
    }
  }

  TempFolder logs_;
  pid_t pid_ = 0;
  int status_ = 0;
  bool ended_ = false;
  std::map<int, pid_t> ranks_;
};

}  // namespace weft::test
