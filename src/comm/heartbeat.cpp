#include "weft/comm/heartbeat.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <exception>
#include <thread>

#include <pthread.h>

#include "weft/base/error.h"
#include "weft/base/log.h"

#include "heartbeat_connect.h"
#include "heartbeat_loop.h"

namespace weft {
namespace {

std::atomic<HeartbeatLoop*> the_loop{nullptr};

Packet describe_self(const Session& session, int rank) {
  Packet self;
  self.rank = rank;
  self.process = this_process();
  const std::string& host = session.host();
  std::copy_n(host.begin(), std::min(host.size(), self.host.size() - 1), self.host.begin());
  return self;
}

/// A thread that no signal of the program is delivered to.
std::thread start_thread(HeartbeatLoop& loop) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread thread([&loop] { loop.run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

void warn_unwatched(const std::vector<std::string>& problems) {
  constexpr std::size_t shown = 3;
  std::string list;
  std::size_t count = 0;
  for (std::size_t r = 0; r < problems.size(); ++r) {
    if (problems[r].empty() || ++count > shown) continue;
    list += fmt::format("{}rank {} {}", list.empty() ? "" : "; ", r, problems[r]);
  }
  if (count == 0) return;
  log_warn(
      "the watchdog of rank 0 cannot be reached from {} of {} ranks ({}{}): the job goes on, but "
      "when one of these stops or hangs, nobody will notice and end it",
      count, problems.size(), list, count > shown ? "; ..." : "");
}

}  // namespace

struct Heartbeat::Impl {
  std::unique_ptr<HeartbeatLoop> loop;  // none: this rank is not watched
  std::thread thread;
  int exceptions = std::uncaught_exceptions();

  ~Impl() {
    if (!loop) return;
    if (std::uncaught_exceptions() > exceptions) quiet();
    the_loop = nullptr;
    loop->ask_goodbye();
    thread.join();
  }

  void start(std::unique_ptr<HeartbeatLoop> made) {
    loop = std::move(made);
    thread = start_thread(*loop);
    the_loop = loop.get();
  }

  /// Rank 0: where it listens; "" when it cannot, with the reason.
  std::string open_center(const HeartbeatOptions& options, Packet self, int ranks,
                          std::string& problem) {
    try {
      raise_descriptor_limit(static_cast<std::size_t>(ranks) + 512);
      Descriptor listener = listen_everywhere();
      self.token = random_token();
      const Contact contact{port_of(listener.get()), self.token, self.process, own_addresses()};
      start(make_heartbeat_center(options, self, ranks, std::move(listener)));
      return contact_text(contact);
    } catch (const std::exception& e) {
      problem = e.what();
      return {};
    }
  }

  /// Another rank: what went wrong, "" when it is connected.
  std::string join(const HeartbeatOptions& options, Packet self, const std::string& contact_line,
                   const std::string& host) {
    if (contact_line.empty()) return "has nothing to connect to";
    try {
      const Contact contact = parse_contact(contact_line);
      self.token = contact.token;
      std::string problem;
      auto met = connect_to(contact, self, problem);
      if (!met) return fmt::format("on {}: {}", host, problem);
      start(make_heartbeat_member(options, self, std::move(met->link), met->center));
      return {};
    } catch (const std::exception& e) {
      return fmt::format("on {}: {}", host, e.what());
    }
  }
};

Heartbeat::Heartbeat(const Communicator& comm, const Session& session,
                     const HeartbeatOptions& options)
    : impl_(std::make_unique<Impl>()) {
  WEFT_ASSERT(comm.size() > 1, "one rank has nobody to watch it");
  WEFT_ASSERT(the_loop == nullptr, "a second heartbeat in one process");
  WEFT_ASSERT(options.silence >= 2 && options.stall >= 0, "silence {} s, stall {} s",
              options.silence, options.stall);
  const Packet self = describe_self(session, comm.rank());
  std::string problem;
  std::string contact;
  if (comm.rank() == 0) contact = impl_->open_center(options, self, comm.size(), problem);
  comm.broadcast_string(contact, 0);
  if (comm.rank() != 0) problem = impl_->join(options, self, contact, session.host());
  warn_unwatched(comm.gather_strings(problem, 0));
  watched_ = static_cast<int>(comm.sum(problem.empty() ? 1 : 0));
}

Heartbeat::~Heartbeat() = default;

void Heartbeat::quiet() noexcept {
  if (HeartbeatLoop* loop = the_loop) loop->ask_quiet();
}

}  // namespace weft
