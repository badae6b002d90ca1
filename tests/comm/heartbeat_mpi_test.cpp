// Jobs that lose a rank, run as a user runs them. Without arguments this is the driver (GoogleTest,
// no MPI): it starts itself under mpirun with a mode and a folder, and looks at what the job
// leaves: exit code, lines on stderr, wall time, processes. Every rank writes its number into
// FOLDER/RANK first.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <set>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/base/activity.h"
#include "weft/comm/heartbeat.h"

#include "support/temp_folder.h"

namespace weft {
namespace {
namespace fs = std::filesystem;

constexpr double silence = 4;  // s, in all jobs here
constexpr double stall = 3;    // s, in mode "stuck"

// ---- the job -----------------------------------------------------------------------------------

void sleep_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// Ports that this process listens on: MPI has its own.
std::set<int> listening_ports() {
  std::set<int> ports;
  for (int fd = 0; fd < 256; ++fd) {
    int listens = 0;
    socklen_t length = sizeof(listens);
    sockaddr_in6 address{};
    socklen_t address_length = sizeof(address);
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens != 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &address_length) == 0) {
      ports.insert(ntohs(address.sin6_port));
    }
  }
  return ports;
}

/// Strangers: one that says nothing, one that says half a packet, some that talk nonsense.
void disturb(int port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (const std::size_t bytes : {0, 50, 3000, 3000, 100000}) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);  // left open: it closes with the process
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    ::send(fd, std::string(bytes, 'x').data(), bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

/// A process beside the job that stops all ranks for longer than the silence allowed, one by one.
void stop_all_for_a_while(const fs::path& folder, int ranks) {
  if (::fork() != 0) return;
  const auto signal_all = [&](int signal) {
    for (int r = 0; r < ranks; ++r) {
      pid_t pid = 0;
      std::ifstream(folder / std::to_string(r)) >> pid;
      if (pid > 1) ::kill(pid, signal);
      ::usleep(200000);
    }
  };
  ::sleep(1);
  signal_all(SIGSTOP);
  ::sleep(8);
  signal_all(SIGCONT);
  ::_exit(0);
}

/// Steps with a barrier in each, as a render has; rank `odd` misbehaves in step 5, after the second
/// in which a beat has told of that.
void work(const Communicator& comm, const std::string& mode, int odd, double seconds) {
  const double until = now_seconds() + seconds;
  for (int step = 0; comm.max(until - now_seconds()) > 0; ++step) {
    set_activity(Stage::denoise, step, comm.rank());
    if (step == 5 && comm.rank() == odd) {
      sleep_seconds(1.2);
      if (mode == "kill") ::raise(SIGKILL);
      if (mode == "stop") ::raise(SIGSTOP);
      if (mode == "throw") fail("a broken window");
      if (mode == "exit") std::_Exit(0);
      while (mode == "stuck") sleep_seconds(1);
    }
    sleep_seconds(0.1);
    if (mode == "stuck") set_activity(Stage::wait);
    comm.barrier();
  }
}

void keep_busy(int threads) {
  static std::atomic<std::uint64_t> turns{0};
  for (int i = 0; i < threads; ++i) {
    std::thread([] {
      for (;;) turns.fetch_add(1, std::memory_order_relaxed);
    }).detach();
  }
}

int job(int argc, char** argv) {
  const Session session(argc, argv);
  const std::string mode = argv[1];
  const fs::path folder = argv[2];
  const int odd = std::atoi(argv[3]);
  std::ofstream(folder / std::to_string(session.rank())) << ::getpid();
  const auto comm = Communicator::world();
  if (mode == "cut" && comm.rank() == odd && ::unshare(CLONE_NEWNET) != 0) std::perror("unshare");
  const auto before = listening_ports();
  try {
    HeartbeatOptions options;
    options.silence = silence;
    options.stall = mode == "stuck" ? stall : 0;
    const Heartbeat heartbeat(comm, session, options);
    if (comm.rank() == 0) std::printf("watched %d\n", heartbeat.watched());
    if (mode == "busy") keep_busy(4);
    if (mode == "pause" && comm.rank() == 0) stop_all_for_a_while(folder, comm.size());
    if (mode == "strangers" && comm.rank() == 0) {
      for (const int port : listening_ports()) {
        if (!before.contains(port)) disturb(port);
      }
    }
    const double seconds = mode == "busy" ? 10 : mode == "strangers" ? 12 : mode == "cut" ? 6 : 2;
    work(comm, mode, odd, mode == "pause" ? 14 : odd >= 0 && mode != "cut" ? 60 : seconds);
    // The goodbyes come one by one: none of them is a loss.
    if (mode == "healthy") sleep_seconds(0.7 * comm.rank());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rank %d: %s\n", session.rank(), e.what());
    Session::abort(3);
  }
  comm.barrier();
  if (comm.rank() == 0) std::printf("done\n");
  std::fflush(stdout);
  return 0;
}

// ---- the driver
// ----------------------------------------------------------------------------------

std::string program;

struct Outcome {
  int exit_code = -1;
  double seconds = 0;
  std::string out, err;
  int left = 0;  // processes still there
};

std::string read_file(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

/// A dead process that nobody has asked about (state Z: its parent was mpirun) does not run.
bool runs(pid_t pid) {
  const std::string stat = read_file(fmt::format("/proc/{}/stat", pid));
  const auto name_end = stat.rfind(')');
  return pid > 1 && name_end != std::string::npos && stat.substr(name_end, 3) != ") Z";
}

Outcome run_job(const std::string& mode, int ranks, int odd = -1) {
  for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
                           "OMPI_MCA_rmaps_base_oversubscribe", "OMPI_MCA_mpi_yield_when_idle"}) {
    ::setenv(name, "1", 1);
  }
  ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 1);
  ::setenv("OMPI_MCA_hwloc_base_binding_policy", "none", 1);
  const test::TempFolder folder;
  const std::string at = folder.path().string();
  const std::string command =
      fmt::format("timeout -s KILL 60 {} -n {} {} {} {} {} >{}/out 2>{}/err", WEFT_MPIEXEC, ranks,
                  program, mode, at, odd, at, at);
  Outcome outcome;
  const auto begin = std::chrono::steady_clock::now();
  const int status = std::system(command.c_str());
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  outcome.seconds = wall.count();
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = read_file(folder.path() / "out");
  outcome.err = read_file(folder.path() / "err");
  for (int r = 0; r < ranks; ++r) {
    pid_t pid = 0;
    std::ifstream(folder.path() / std::to_string(r)) >> pid;
    if (!runs(pid)) continue;
    ++outcome.left;
    ::kill(pid, SIGKILL);
  }
  std::printf("%s, %d ranks, odd rank %d: exit code %d after %.1f s\n%s", mode.c_str(), ranks, odd,
              outcome.exit_code, outcome.seconds, outcome.err.c_str());
  return outcome;
}

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

/// The job ended by itself in time, with one report, which names the rank, its host and its stage.
void expect_report(const Outcome& job, int rank, const std::string& how, double within) {
  EXPECT_NE(job.exit_code, 0);
  EXPECT_LT(job.seconds, within);
  EXPECT_EQ(job.left, 0);
  EXPECT_EQ(count(job.err, "weft: "), 1);
  EXPECT_EQ(count(job.err, fmt::format("weft: rank {} on node {} {}", rank, host_name(), how)), 1);
  EXPECT_EQ(count(job.err, fmt::format("denoise, step 5, window {}: ending the job; run the same "
                                       "command again to continue",
                                       rank)),
            1);
}

void expect_healthy(const Outcome& job, int watched) {
  EXPECT_EQ(job.exit_code, 0);
  EXPECT_EQ(count(job.err, "weft: "), 0);
  EXPECT_EQ(count(job.out, fmt::format("watched {}\n", watched)), 1) << job.out;
  EXPECT_EQ(count(job.out, "done"), 1);
}

// Time to start and to end on a busy machine (mpirun waits 2 s before it kills) beside the time of
// detection: without a load the jobs take 2 to 7 s in all.
constexpr double around = 15;

TEST(Heartbeat, RankDies) { expect_report(run_job("kill", 4, 2), 2, "is gone", around); }
TEST(Heartbeat, RankZeroDies) { expect_report(run_job("kill", 4, 0), 0, "is gone", around); }
TEST(Heartbeat, RankLeavesWithoutAWord) {
  expect_report(run_job("exit", 3, 1), 1, "is gone", around);
}
// Catches a watchdog that trusts the launcher: mpirun does nothing about a stopped rank.
TEST(Heartbeat, RankIsStopped) {
  expect_report(run_job("stop", 4, 2), 2, "was last heard", silence + around);
}
TEST(Heartbeat, RankZeroIsStopped) {
  expect_report(run_job("stop", 4, 0), 0, "was last heard", silence + around);
}
TEST(Heartbeat, OneOfTwoIsStopped) {
  expect_report(run_job("stop", 2, 0), 0, "was last heard", silence + around);
  expect_report(run_job("stop", 2, 1), 1, "was last heard", silence + around);
}

// Catches a watchdog that is content when every process answers, and a list that begins with those
// who wait for the cause.
TEST(Heartbeat, RankIsStuck) {
  const Outcome job = run_job("stuck", 3, 1);
  EXPECT_NE(job.exit_code, 0);
  EXPECT_LT(job.seconds, stall + around);
  EXPECT_EQ(job.left, 0);
  EXPECT_EQ(count(job.err, "weft: "), 1);
  EXPECT_EQ(count(job.err, "weft: no rank has made progress for 3 s: rank 1 on node " +
                               host_name() + " in denoise, step 5, window 1 for "),
            1);
  for (const int r : {0, 2}) {
    EXPECT_EQ(count(job.err, fmt::format("; rank {} on node {} in wait for ", r, host_name())), 1);
  }
}

TEST(Heartbeat, AnIntendedEndIsNotReported) {
  const Outcome job = run_job("throw", 4, 2);
  EXPECT_EQ(job.exit_code, 3);
  EXPECT_LT(job.seconds, around);
  EXPECT_EQ(job.left, 0);
  EXPECT_EQ(count(job.err, "weft: "), 0);
  EXPECT_EQ(count(job.err, "a broken window"), 1);
}

TEST(Heartbeat, HealthyJobs) {
  expect_healthy(run_job("healthy", 2), 2);
  expect_healthy(run_job("healthy", 4), 4);
}
// 4 ranks with 4 busy threads each, on any machine more than its cores.
TEST(Heartbeat, NoFalseAlarmOnABusyMachine) { expect_healthy(run_job("busy", 4), 4); }
// All ranks are stopped for 8 s, as a scheduler suspends a job. Catches an observer that counts the
// time it was stopped itself.
TEST(Heartbeat, AWholeJobMayPause) { expect_healthy(run_job("pause", 4), 4); }
TEST(Heartbeat, StrangersAreTurnedAway) { expect_healthy(run_job("strangers", 3), 3); }

TEST(Heartbeat, ARankThatCannotConnectGoesOnUnwatched) {
  if (::geteuid() != 0) GTEST_SKIP() << "cutting a rank's network needs root";
  const Outcome job = run_job("cut", 3, 1);
  expect_healthy(job, 2);
  EXPECT_EQ(count(job.err, "cannot be reached from 1 of 3 ranks (rank 1 on "), 1);
  EXPECT_EQ(count(job.err, "127.0.0.1 port"), 1);
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  if (argc == 4) return weft::job(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  weft::program = std::filesystem::absolute(argv[0]).string();
  return RUN_ALL_TESTS();
}
