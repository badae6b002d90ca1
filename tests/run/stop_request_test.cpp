// Requests to stop: what is taken for one, in real processes with real signals.
#include "weft/run/stop_request.h"

#include <csignal>
#include <cstdlib>
#include <ctime>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft/base/error.h"
#include "weft/base/stages.h"

namespace weft {
namespace {

/// Runs `f` in a process of its own, whose handlers nobody else has; its exit code, or 128 +
/// signal.
template <class F>
int in_child(F&& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    StopRequest::clear();
    ::_exit(f());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int reason_is(const char* want) { return StopRequest::pending() == want ? 0 : 1; }

TEST(StopRequest, EachSignalIsAReason) {
  const std::pair<int, const char*> all[] = {
      {SIGUSR1, "SIGUSR1"}, {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}};
  for (const auto& [signal, name] : all) {
    EXPECT_EQ(in_child([signal = signal, name = name] {
                StopRequest::install();
                if (StopRequest::pending()) return 2;
                ::raise(signal);
                return reason_is(name);
              }),
              0)
        << name;
  }
}

// Catches a handler that makes Ctrl-C useless, and one that is already useless at the first.
TEST(StopRequest, TheSecondInterruptEndsTheProcess) {
  EXPECT_EQ(in_child([] {
              StopRequest::install();
              ::raise(SIGINT);
              if (reason_is("SIGINT") != 0) return 1;
              ::raise(SIGINT);
              return 2;
            }),
            128 + SIGINT);
  EXPECT_EQ(in_child([] {
              StopRequest::install();
              ::raise(SIGTERM);
              ::raise(SIGINT);
              return 2;
            }),
            128 + SIGINT);
}

// Slurm and the launcher both send TERM, about 1 s apart: that must not cost the checkpoint.
TEST(StopRequest, TermTwiceAtOnceIsOneRequest) {
  EXPECT_EQ(in_child([] {
              StopRequest::install();
              ::raise(SIGTERM);
              ::raise(SIGTERM);
              return reason_is("SIGTERM");
            }),
            0);
  EXPECT_EQ(in_child([] {
              StopRequest::install();
              ::raise(SIGTERM);
              ::sleep(4);
              ::raise(SIGTERM);
              return 2;
            }),
            128 + SIGTERM);
}

TEST(StopRequest, AWarningBeforeTermIsNotTheFirstOfTwo) {
  EXPECT_EQ(in_child([] {
              StopRequest::install();
              for (int i = 0; i < 3; ++i) ::raise(SIGUSR1);
              ::raise(SIGTERM);
              return reason_is("SIGUSR1");
            }),
            0);
}

TEST(StopRequest, AnIgnoredSignalStaysIgnored) {
  EXPECT_EQ(in_child([] {
              std::signal(SIGINT, SIG_IGN);
              StopRequest::install();
              for (int i = 0; i < 3; ++i) ::raise(SIGINT);
              return StopRequest::pending() ? 1 : 0;
            }),
            0);
}

// Catches a handler without SA_RESTART: a read that a signal interrupts would fail with EINTR.
TEST(StopRequest, InterruptedCallsGoOn) {
  EXPECT_EQ(in_child([] {
              StopRequest::install();
              int ends[2];
              if (::pipe(ends) != 0) return 2;
              const pid_t reader = ::getpid();
              if (::fork() == 0) {
                ::usleep(200000);
                ::kill(reader, SIGUSR1);
                ::usleep(200000);
                ::_exit(::write(ends[1], "x", 1) == 1 ? 0 : 1);
              }
              char byte = 0;
              if (::read(ends[0], &byte, 1) != 1) return 3;
              return reason_is("SIGUSR1");
            }),
            0);
}

TEST(StopRequest, TheEarliestDeadlineLessTheMargin) {
  StopRequest::clear();
  EXPECT_FALSE(StopRequest::pending(1e9));
  const double now = now_seconds();
  StopRequest::set_deadline(now + 1000, "time limit of 1000 s");
  StopRequest::set_deadline(now + 5000, "Slurm's time limit");
  EXPECT_FALSE(StopRequest::pending());
  EXPECT_FALSE(StopRequest::pending(900));
  EXPECT_EQ(StopRequest::pending(1001), "time limit of 1000 s");
  StopRequest::set_deadline(now - 1, "Slurm's time limit");
  EXPECT_EQ(StopRequest::pending(), "Slurm's time limit");
  StopRequest::clear();
  EXPECT_FALSE(StopRequest::pending());
}

TEST(StopRequest, Margin) {
  EXPECT_EQ(stop_margin(0), 60);
  EXPECT_EQ(stop_margin(30), 60);
  EXPECT_EQ(stop_margin(45), 90);
}

TEST(ParseDuration, Forms) {
  EXPECT_EQ(parse_duration("90"), 90);
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("0.5"), 0.5);
  EXPECT_EQ(parse_duration("15m"), 900);
  EXPECT_EQ(parse_duration("2h"), 7200);
  EXPECT_EQ(parse_duration("1.5h"), 5400);
  EXPECT_EQ(parse_duration("1h30m"), 5400);
  EXPECT_EQ(parse_duration("1d2h3m4s"), 93784);
  EXPECT_EQ(parse_duration("15:00"), 900);
  EXPECT_EQ(parse_duration("90:00"), 5400);  // the first field has no limit
  EXPECT_EQ(parse_duration("1:30:00"), 5400);
  EXPECT_EQ(parse_duration("48:00:00"), 172800);
  EXPECT_EQ(parse_duration("1-12"), 129600);
  EXPECT_EQ(parse_duration("1-12:30"), 131400);
  EXPECT_EQ(parse_duration("1-12:00:00"), 129600);
}

TEST(ParseDuration, Refuses) {
  for (const char* text : {"",
                           "0",
                           "0s",
                           "0:00",
                           "-5",
                           "+5",
                           "h",
                           "5x",
                           "5 m",
                           " 5",
                           "1h30",
                           "30m1h",
                           "1h1h",
                           "1e3",
                           "inf",
                           "nan",
                           ".",
                           "1.2.3",
                           "1:60",
                           "1:60:00",
                           "1:2:3:4",
                           "1-",
                           "1-24",
                           "1-1:1:1:1",
                           "1:-3",
                           "1-2-3",
                           "::",
                           "1:30:00s",
                           "1.5:00",
                           "5\n",
                           "99999999999999999999999999999999999999999999999h9"}) {
    EXPECT_THROW(parse_duration(text), InputError) << text;
  }
  try {
    parse_duration("soon");
    FAIL();
  } catch (const InputError& e) {  // says what was given and what is expected
    EXPECT_NE(std::string(e.what()).find("\"soon\""), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("1:30:00"), std::string::npos);
  }
}

TEST(SlurmTime, SecondsLeft) {
  ::unsetenv("SLURM_JOB_END_TIME");
  EXPECT_FALSE(slurm_seconds_left());
  for (const char* bad : {"", "soon", "12x", "0", "-4"}) {
    ::setenv("SLURM_JOB_END_TIME", bad, 1);
    EXPECT_FALSE(slurm_seconds_left()) << bad;
  }
  ::setenv("SLURM_JOB_END_TIME", std::to_string(std::time(nullptr) + 500).c_str(), 1);
  EXPECT_NEAR(slurm_seconds_left().value_or(0), 500, 2);
  ::setenv("SLURM_JOB_END_TIME", std::to_string(std::time(nullptr) - 500).c_str(), 1);
  EXPECT_NEAR(slurm_seconds_left().value_or(0), -500, 2);
  ::unsetenv("SLURM_JOB_END_TIME");
}

}  // namespace
}  // namespace weft
