#pragma once
// Runs the program as a user does: under mpirun, with output, errors and exit code kept.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <sys/wait.h>

#include "support/temp_folder.h"

namespace weft::test {
namespace fs = std::filesystem;

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};

inline std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string shell_word(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// More ranks than processors are allowed, as root in a container too.
inline void prepare_mpi() {
  for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
                           "OMPI_MCA_rmaps_base_oversubscribe"}) {
    setenv(name, "1", 1);
  }
  setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 1);
}

/// `ranks` 0: without mpirun.
/// `before`, `after`: shell commands around it, all in a mount namespace of their own.
inline Outcome run_weft(const std::vector<std::string>& arguments, int ranks = 0,
                        const std::string& before = "", const std::string& after = "") {
  prepare_mpi();
  const TempFolder logs;
  const std::string out = (logs.path() / "out").string();
  const std::string err = (logs.path() / "err").string();
  std::string command = before;
  if (ranks > 0) command += shell_word(WEFT_MPIEXEC) + " -n " + std::to_string(ranks) + " ";
  command += shell_word(WEFT_PROGRAM);
  for (const std::string& word : arguments) command += " " + shell_word(word);
  command += after;
  if (!before.empty()) command = "unshare -m sh -c " + shell_word(command);
  command += " >" + shell_word(out) + " 2>" + shell_word(err);
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out),
          read_file(err)};
}

/// A library for LD_PRELOAD (tests/support/preload).
inline std::string preloaded(const std::string& name) { return WEFT_PRELOAD + name + ".so"; }

inline std::string golden_model(const std::string& name) {
  return std::string(WEFT_TEST_DATA) + "/golden/" + name;
}

}  // namespace weft::test
