#include "weft/run/lease.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/temp_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr double timeout = 0.6;  // seconds; a beat every 0.1 s

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void put(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

void pause_for(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

/// A lease of a machine whose processes cannot be seen from here.
LeaseInfo lease_elsewhere() {
  LeaseInfo info;
  info.token = "0123456789abcdef0123456789abcdef";
  info.host = "elsewhere";
  info.machine = "another boot";
  info.pid = 17;
  info.timeout = timeout;
  return info;
}

/// Runs `work` in a process of its own, which ends without any cleaning up.
pid_t in_child(const std::function<int()>& work) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::_exit(work());
}

int exit_code(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Lease, TextRoundTrip) {
  LeaseInfo info = lease_elsewhere();
  info.worker = "node3.gpu0";
  info.process_start = 123456789;
  info.slurm_job = "55";
  info.slurm_task = "2";
  info.beat = 42;
  info.status = {"denoise\nbeat 7", 12, 50, 240.5};  // a line of its own would forge a field
  const std::string text = format_lease(info);
  const auto read = parse_lease(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->token, info.token);
  EXPECT_EQ(read->host, info.host);
  EXPECT_EQ(read->machine, info.machine);
  EXPECT_EQ(read->worker, info.worker);
  EXPECT_EQ(read->pid, 17);
  EXPECT_EQ(read->process_start, 123456789U);
  EXPECT_EQ(read->slurm_job, "55");
  EXPECT_EQ(read->slurm_task, "2");
  EXPECT_EQ(read->timeout, timeout);
  EXPECT_EQ(read->beat, 42U);
  EXPECT_EQ(read->status.state, "denoise beat 7");
  EXPECT_EQ(read->status.step, 12);
  EXPECT_EQ(read->status.steps, 50);
  EXPECT_EQ(read->status.eta_seconds, 240.5);
  info.worker.assign(5000, 'w');
  info.status.state.assign(5000, 's');
  EXPECT_EQ(format_lease(info).size(), text.size());
}

// Catches: a reader that trusts half a beat, or runs out of bounds on garbage.
TEST(Lease, NothingButAWholeTextIsRead) {
  const std::string text = format_lease(lease_elsewhere());
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(parse_lease(text.substr(0, length)));
  }
  const std::size_t end = text.find("checksum ") + 9 + 16;
  for (std::size_t at = 0; at < end; ++at) {
    std::string wrong = text;
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    EXPECT_FALSE(parse_lease(wrong)) << at;
  }
}

TEST(Lease, OneOwnerAtATime) {
  const test::TempFolder folder;
  LeaseWatch watch(timeout);
  auto first = Lease::try_take(folder.path(), watch, "me");
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->still_mine());
  EXPECT_FALSE(first->taken_from());
  EXPECT_FALSE(Lease::try_take(folder.path(), watch));
  EXPECT_EQ(watch.look(folder.path()).info->worker, "me");
  first->release();
  EXPECT_FALSE(first->still_mine());
  EXPECT_TRUE(fs::is_empty(folder.path()));  // no temporary files left
  EXPECT_TRUE(Lease::try_take(folder.path(), watch));
  EXPECT_TRUE(fs::is_empty(folder.path()));  // released with the object
}

// Catches: a thread that does not beat, a status that is not written, an observer that takes over
// from an owner who is well.
TEST(Lease, BeatsKeepItAndShowTheStatus) {
  const test::TempFolder folder;
  LeaseWatch owner(timeout);
  LeaseWatch observer(timeout);
  auto lease = Lease::try_take(folder.path(), owner);
  ASSERT_TRUE(lease);
  for (int i = 0; i < 30; ++i) {
    lease->set_status({"denoise", i, 50, 3.0});
    pause_for(timeout / 12);
    EXPECT_FALSE(Lease::try_take(folder.path(), observer));
    EXPECT_TRUE(lease->still_mine());
  }
  const auto info = parse_lease(content_of(folder.path() / "lease"));
  ASSERT_TRUE(info);
  EXPECT_GT(info->beat, 5U);
  EXPECT_GT(info->status.step, 20);
  EXPECT_EQ(lease->failed_beats(), 0U);
}

// Catches: one look being enough, file times or wall clocks being used, a new beat not counting.
TEST(Lease, AnotherMachinesLeaseIsStaleAfterTwoLooksAndTheTimeout) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "lease";
  LeaseInfo info = lease_elsewhere();
  put(path, format_lease(info));
  const timespec times[2] = {{1, 0}, {1, 0}};  // 1970: as old as a file can be
  ::utimensat(AT_FDCWD, path.c_str(), times, 0);
  LeaseWatch watch(timeout);
  EXPECT_FALSE(watch.look(folder.path()).stale);
  pause_for(0.7 * timeout);
  EXPECT_FALSE(watch.look(folder.path()).stale);
  info.beat = 1;
  put(path, format_lease(info));
  pause_for(0.7 * timeout);
  EXPECT_FALSE(watch.look(folder.path()).stale);  // first sight of beat 1
  const timespec later[2] = {{99999999999, 0}, {99999999999, 0}};
  ::utimensat(AT_FDCWD, path.c_str(), later, 0);
  pause_for(1.1 * timeout);
  EXPECT_TRUE(watch.look(folder.path()).stale);
  EXPECT_FALSE(LeaseWatch(timeout).look(folder.path()).stale);  // nobody else has looked twice
  auto lease = Lease::try_take(folder.path(), watch);
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->taken_from()->host, "elsewhere");
}

TEST(Lease, TheOwnersLongerTimeoutIsRespected) {
  const test::TempFolder folder;
  LeaseInfo info = lease_elsewhere();
  info.timeout = 1000;
  put(folder.path() / "lease", format_lease(info));
  LeaseWatch hasty(0.05);
  EXPECT_FALSE(hasty.look(folder.path()).stale);
  pause_for(0.2);
  EXPECT_FALSE(hasty.look(folder.path()).stale);
}

// Catches: a process id alone being trusted; a process nobody has waited for counting as alive.
TEST(Lease, AProcessThatEndedHereIsToldAtOnce) {
  const test::TempFolder folder;
  LeaseWatch watch(1000);
  const auto take_and_end = [&] {
    LeaseWatch own(1000);
    static auto lease = Lease::try_take(folder.path(), own);  // not released at _exit()
    return lease ? 0 : 1;
  };
  const pid_t zombie = in_child(take_and_end);
  siginfo_t ended{};
  ::waitid(P_PID, static_cast<id_t>(zombie), &ended, WEXITED | WNOWAIT);
  EXPECT_TRUE(watch.look(folder.path()).stale);
  EXPECT_EQ(exit_code(zombie), 0);
  EXPECT_TRUE(watch.look(folder.path()).stale);

  auto mine = Lease::try_take(folder.path(), watch);
  ASSERT_TRUE(mine);
  LeaseInfo reused = mine->info();
  EXPECT_FALSE(watch.look(folder.path()).stale);
  reused.process_start += 1;
  put(folder.path() / "lease", format_lease(reused));
  EXPECT_TRUE(watch.look(folder.path()).stale);
}

// Catches: a lease that a crash left empty or half written and that nobody can ever take.
TEST(Lease, GarbageIsTakenOverAfterTheTimeout) {
  for (const std::string& garbage :
       {std::string(), std::string("\0\0\0", 3), format_lease(lease_elsewhere()).substr(0, 500)}) {
    const test::TempFolder folder;
    put(folder.path() / "lease", garbage);
    LeaseWatch watch(0.2);
    EXPECT_FALSE(Lease::try_take(folder.path(), watch));
    pause_for(0.25);
    auto lease = Lease::try_take(folder.path(), watch);
    ASSERT_TRUE(lease);
    EXPECT_TRUE(lease->taken_from());
    EXPECT_TRUE(lease->still_mine());
  }
}

// Catches: beats that write to the name instead of the owner's own file; an owner that removes what
// is another's.
TEST(Lease, AnOwnerThatWasOvertakenSeesItAndLeavesTheOthersFileAlone) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "lease";
  LeaseWatch watch(timeout);
  auto lease = Lease::try_take(folder.path(), watch);
  ASSERT_TRUE(lease);
  fs::rename(path, folder.path() / "aside");
  const std::string other = format_lease(lease_elsewhere());
  put(path, other);
  pause_for(timeout / 2);  // some beats
  EXPECT_FALSE(lease->still_mine());
  lease->release();
  EXPECT_EQ(content_of(path), other);
}

// Stopped for longer than the timeout, whether or not somebody took over meanwhile.
TEST(Lease, AStoppedOwnerFindsThatItLostIt) {
  for (const bool taken_over : {true, false}) {
    const test::TempFolder folder;
    int go[2];
    ASSERT_EQ(::pipe(go), 0);
    const pid_t owner = in_child([&] {
      LeaseWatch watch(timeout);
      auto lease = Lease::try_take(folder.path(), watch);
      char c = 0;
      if (!lease || !lease->still_mine() || ::read(go[0], &c, 1) != 1) return 1;
      return lease->still_mine() ? 2 : 0;
    });
    LeaseWatch watch(timeout);
    while (!watch.look(folder.path()).exists) pause_for(0.01);
    pause_for(timeout / 3);
    ::kill(owner, SIGSTOP);
    EXPECT_FALSE(watch.look(folder.path()).stale);
    std::optional<Lease> mine;
    const auto begin = std::chrono::steady_clock::now();
    while (taken_over && !mine && std::chrono::steady_clock::now() - begin < 20s) {
      mine = Lease::try_take(folder.path(), watch);
      pause_for(0.01);
    }
    EXPECT_EQ(mine.has_value(), taken_over);
    if (!taken_over) pause_for(1.2 * timeout);
    ::kill(owner, SIGCONT);
    ASSERT_EQ(::write(go[1], "x", 1), 1);
    EXPECT_EQ(exit_code(owner), 0);
    EXPECT_TRUE(!mine || mine->still_mine());
    ::close(go[0]);
    ::close(go[1]);
  }
}

TEST(Lease, ADeletedFolderEndsItWithoutAnException) {
  auto folder = std::make_unique<test::TempFolder>();
  LeaseWatch watch(timeout);
  auto lease = Lease::try_take(folder->path(), watch);
  ASSERT_TRUE(lease);
  const fs::path path = folder->path();
  folder.reset();
  pause_for(timeout / 2);
  EXPECT_FALSE(lease->still_mine());
  lease->release();
  EXPECT_ANY_THROW(Lease::try_take(path, watch));
}

// Catches: an exception that ends the thread (and the process); an owner that believes for ever.
TEST(Lease, BeatsThatFailAreCountedAndEndItAfterTheTimeout) {
  const test::TempFolder folder;
  const pid_t child = in_child([&] {
    LeaseWatch watch(timeout);
    auto lease = Lease::try_take(folder.path(), watch);
    if (!lease) return 1;
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small = {100, 100};  // writing fails from here on, as on a full disk
    ::setrlimit(RLIMIT_FSIZE, &small);
    pause_for(timeout / 3);
    if (!lease->still_mine()) return 2;
    if (lease->failed_beats() == 0) return 3;
    pause_for(timeout);
    return lease->still_mine() ? 4 : 0;
  });
  EXPECT_EQ(exit_code(child), 0);
}

// Catches: takers that deadlock or all give up. (Exclusiveness itself: lease_file_test.cpp.)
TEST(Lease, OfManyWhoTakeOverOneSucceeds) {
  const pid_t ended = in_child([] { return 0; });
  EXPECT_EQ(exit_code(ended), 0);
  for (int round = 0; round < 60; ++round) {
    const test::TempFolder folder;
    LeaseWatch seed(timeout);
    LeaseInfo dead = Lease::try_take(folder.path(), seed)->info();
    dead.pid = ended;
    put(folder.path() / "lease", format_lease(dead));
    constexpr int takers = 6;
    std::atomic<int> ready{0};
    std::vector<std::optional<Lease>> got(takers);
    std::vector<std::thread> threads;
    for (int i = 0; i < takers; ++i) {
      threads.emplace_back([&, i] {
        LeaseWatch watch(timeout);
        ++ready;
        while (ready < takers) std::this_thread::yield();
        for (int n = 0; n < 5 && !got[i]; ++n) got[i] = Lease::try_take(folder.path(), watch);
      });
    }
    for (std::thread& thread : threads) thread.join();
    int owners = 0;
    for (auto& lease : got) owners += lease && lease->still_mine() ? 1 : 0;
    EXPECT_EQ(owners, 1);
  }
}

TEST(Lease, AFileWhereTheFolderShouldBeIsAnError) {
  const test::TempFolder folder;
  put(folder.path() / "file", "x");
  LeaseWatch watch(timeout);
  EXPECT_ANY_THROW(Lease::try_take(folder.path() / "file", watch));
}

}  // namespace
}  // namespace weft
