#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "weft/base/error.h"
#include "weft/comm/background_progress.h"
#include "weft/comm/communicator.h"

#include "support/mpi_main.h"
#include "support/temp_folder.h"

namespace weft {
namespace {

// A byte that tells its sender, its message and its place.
std::byte value(int rank, int tag, std::size_t i) {
  return static_cast<std::byte>(
      (static_cast<std::size_t>(rank) * 37 + static_cast<std::size_t>(tag) * 11 + i * 3 + 1) % 251);
}

std::vector<std::byte> message(int rank, int tag, std::size_t size) {
  std::vector<std::byte> data(size);
  for (std::size_t i = 0; i < size; ++i) data[i] = value(rank, tag, i);
  return data;
}

constexpr std::byte unset{0xFF};

TEST(Session, NumbersTheRanksOfThisHost) {
  const auto comm = Communicator::world();
  const Session& session = test::session();
  EXPECT_EQ(comm.rank(), session.rank());
  EXPECT_EQ(comm.size(), session.size());
  EXPECT_FALSE(session.host().empty());
  EXPECT_FALSE(session.library_version().empty());
  EXPECT_EQ(session.library_version().find('\0'), std::string::npos);
  // Ranks of one host have the numbers 0 ... local_size - 1, ascending with the rank.
  const auto all = comm.gather_strings(
      fmt::format("{} {} {}", session.host(), session.local_rank(), session.local_size()), 0);
  for (const auto& own : all) {
    const std::string host = own.substr(0, own.find(' '));
    const auto same_host = [&](const std::string& other) { return other.starts_with(host + " "); };
    const auto before = std::count_if(all.data(), &own, same_host);
    EXPECT_EQ(own, fmt::format("{} {} {}", host, before, std::ranges::count_if(all, same_host)));
  }
}

TEST(Communicator, EveryRankSendsToEveryRankItselfIncluded) {
  const auto comm = Communicator::world();
  const int me = comm.rank();
  for (const std::size_t size : {0UL, 1UL, 7UL, 4096UL, 300000UL}) {
    std::vector<std::vector<std::byte>> incoming(static_cast<std::size_t>(comm.size()),
                                                 std::vector<std::byte>(size, unset));
    std::vector<std::vector<std::byte>> outgoing;
    std::vector<Communicator::Pending> pending;
    for (int r = 0; r < comm.size(); ++r) {
      pending.push_back(comm.start_receive(incoming[static_cast<std::size_t>(r)], r, me));
    }
    for (int r = 0; r < comm.size(); ++r) outgoing.push_back(message(me, r, size));
    for (int r = 0; r < comm.size(); ++r) {
      pending.push_back(comm.start_send(outgoing[static_cast<std::size_t>(r)], r, r));
    }
    for (auto& p : pending) p.wait();
    for (int r = 0; r < comm.size(); ++r) {
      EXPECT_EQ(incoming[static_cast<std::size_t>(r)], message(r, me, size)) << "from rank " << r;
    }
  }
}

// Pieces of 1000 bytes stand for the 1 GiB of production: sizes around multiples of it, and two
// messages of one (source, tag) one after the other.
TEST(Communicator, LongMessagesTravelInPieces) {
  const auto comm = Communicator::world(1000);
  const int to = (comm.rank() + 1) % comm.size();
  const int from = (comm.rank() + comm.size() - 1) % comm.size();
  for (const std::size_t size : {999UL, 1000UL, 1001UL, 2000UL, 54321UL}) {
    std::vector<std::byte> first(size, unset);
    std::vector<std::byte> second(size + 500, unset);
    const auto out_first = message(comm.rank(), 1, size);
    const auto out_second = message(comm.rank(), 2, size + 500);
    auto r1 = comm.start_receive(first, from, 5);
    auto r2 = comm.start_receive(second, from, 5);
    auto s1 = comm.start_send(out_first, to, 5);
    auto s2 = comm.start_synchronous_send(out_second, to, 5);
    s2.wait();
    s1.wait();
    r2.wait();
    r1.wait();
    EXPECT_EQ(first, message(from, 1, size));
    EXPECT_EQ(second, message(from, 2, size + 500));
  }
  std::vector<std::byte> shared =
      comm.rank() == 0 ? message(0, 3, 54321) : std::vector<std::byte>(54321, unset);
  comm.broadcast(shared, 0);
  EXPECT_EQ(shared, message(0, 3, 54321));
  const auto parts =
      comm.gather(message(comm.rank(), 4, 3000 + static_cast<std::size_t>(comm.rank())), 0);
  for (std::size_t r = 0; r < parts.size(); ++r) {
    EXPECT_EQ(parts[r], message(static_cast<int>(r), 4, 3000 + r));
  }
  EXPECT_EQ(std::ssize(parts), comm.rank() == 0 ? comm.size() : 0);
}

TEST(Communicator, BlockingPairs) {
  const auto comm = Communicator::world();
  std::vector<std::byte> data(100000, unset);
  // A chain: every rank but the first waits for the one before.
  if (comm.rank() > 0) {
    comm.receive(data, comm.rank() - 1, 9);
    EXPECT_EQ(data, message(comm.rank() - 1, 9, data.size()));
  }
  if (comm.rank() + 1 < comm.size()) {
    comm.send(message(comm.rank(), 9, data.size()), comm.rank() + 1, 9);
  }
}

TEST(Communicator, CollectivesFromEveryRoot) {
  const auto comm = Communicator::world();
  for (int root = 0; root < comm.size(); ++root) {
    std::string text =
        comm.rank() == root ? "from " + std::to_string(root) : "something else, and longer";
    comm.broadcast_string(text, root);
    EXPECT_EQ(text, "from " + std::to_string(root));
    const auto texts =
        comm.gather_strings(std::string(static_cast<std::size_t>(comm.rank()) * 3, 'x'), root);
    ASSERT_EQ(std::ssize(texts), comm.rank() == root ? comm.size() : 0);
    for (std::size_t r = 0; r < texts.size(); ++r) EXPECT_EQ(texts[r], std::string(r * 3, 'x'));
  }
  const double last = comm.size() - 1;
  EXPECT_EQ(comm.max(comm.rank()), last);
  EXPECT_EQ(comm.max(-comm.rank() - 1.5), -1.5);
  EXPECT_EQ(comm.sum(comm.rank()), last * (last + 1) / 2);
  comm.barrier();
}

TEST(Communicator, SplitKeepsTheOrderAndSeparatesMessages) {
  const auto comm = Communicator::world();
  const auto part = comm.split(comm.rank() % 2);
  EXPECT_EQ(part.rank(), comm.rank() / 2);
  EXPECT_EQ(part.size(), comm.rank() % 2 == 0 ? (comm.size() + 1) / 2 : comm.size() / 2);
  double members = 0;
  for (int r = comm.rank() % 2; r < comm.size(); r += 2) members += r;
  EXPECT_EQ(part.sum(comm.rank()), members);

  // The same peer and tag on two communicators: each receives its own message.
  const auto twin = comm.split(0);
  const int to = (comm.rank() + 1) % comm.size();
  const int from = (comm.rank() + comm.size() - 1) % comm.size();
  std::vector<std::byte> a(10, unset);
  std::vector<std::byte> b(10, unset);
  const auto out_a = message(comm.rank(), 1, 10);
  const auto out_b = message(comm.rank(), 2, 10);
  auto receive_b = twin.start_receive(b, from, 0);
  auto receive_a = comm.start_receive(a, from, 0);
  auto send_a = comm.start_send(out_a, to, 0);
  auto send_b = twin.start_send(out_b, to, 0);
  for (auto* p : {&receive_a, &receive_b, &send_a, &send_b}) p->wait();
  EXPECT_EQ(a, message(from, 1, 10));
  EXPECT_EQ(b, message(from, 2, 10));
}

TEST(Communicator, CountsWhatItSends) {
  const auto comm = Communicator::world(64);
  EXPECT_EQ(comm.bytes_sent(), 0);
  std::vector<std::byte> in(1000);
  const std::vector<std::byte> out(1000);
  auto receive = comm.start_receive(in, comm.rank(), 0);
  comm.start_send(out, comm.rank(), 0).wait();
  receive.wait();
  EXPECT_EQ(comm.bytes_sent(), 1000);
  comm.broadcast(in, 0);
  EXPECT_EQ(comm.bytes_sent(), 1000 + (comm.rank() == 0 ? 1000 * (comm.size() - 1) : 0));
}

TEST(Pending, DoneTurnsTrueAndSynchronousSendsWaitForTheReceiver) {
  const auto comm = Communicator::world();
  const auto out = message(comm.rank(), 0, 16);
  std::vector<std::byte> in(16, unset);
  auto send = comm.start_synchronous_send(out, comm.rank(), 3);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(send.done());
  auto receive = comm.start_receive(in, comm.rank(), 3);
  while (!receive.done() || !send.done()) {
  }
  receive.wait();
  send.wait();
  EXPECT_EQ(in, out);
  Communicator::Pending nothing;
  EXPECT_TRUE(nothing.done());
  nothing.wait();
}

TEST(Pending, ItsDestructorAndAssignmentWait) {
  const auto comm = Communicator::world();
  const auto out = message(comm.rank(), 0, 200000);
  std::vector<std::byte> in(out.size(), unset);
  std::vector<std::byte> in2(out.size(), unset);
  auto send = comm.start_send(out, comm.rank(), 0);
  auto send2 = comm.start_send(out, comm.rank(), 1);
  {
    auto receive = comm.start_receive(in, comm.rank(), 0);
    receive = comm.start_receive(in2, comm.rank(), 1);  // waits for the first
    EXPECT_EQ(in, out);
  }
  EXPECT_EQ(in2, out);
}

// Rank 0 stays away from MPI until the receiver says, by a file, that it has everything. Without
// the thread it would wait in vain: the message is copied in pieces here, as it is over TCP.
TEST(BackgroundProgress, ALongMessageMovesWhileItsSenderComputes) {
  const auto comm = Communicator::world();
  if (comm.size() == 1) return;
  const test::TempFolder folder;
  std::string got = folder.path() / "got";
  comm.broadcast_string(got, 0);
  const BackgroundProgress progress;
  if (!progress.running()) GTEST_SKIP() << "this MPI library has no MPI_THREAD_MULTIPLE";
  const std::vector<std::byte> data = message(0, 5, std::size_t{1} << 23);
  if (comm.rank() == 0) {
    auto send = comm.start_send(data, 1, 5);
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while (!std::filesystem::exists(got) && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(std::filesystem::exists(got)) << "the message waited for its sender's next call";
    send.wait();
  } else if (comm.rank() == 1) {
    std::vector<std::byte> in(data.size(), unset);
    comm.receive(in, 0, 5);
    const std::ofstream said(got);
    EXPECT_EQ(in, data);
  }
  comm.barrier();
}

TEST(Errors, NameTheCallThePeerAndTheReason) {
  const auto comm = Communicator::world();
  const std::vector<std::byte> out(20);
  std::vector<std::byte> small(10);
  auto send = comm.start_send(out, comm.rank(), 77);
  try {
    comm.receive(small, comm.rank(), 77);  // MPI_ERR_TRUNCATE
    ADD_FAILURE() << "a message longer than its buffer went through";
  } catch (const Error& e) {
    const std::string text = e.what();
    for (const auto* part : {"MPI_Irecv", "10 bytes", "tag 77", "MPI_ERR_TRUNCATE"}) {
      EXPECT_NE(text.find(part), std::string::npos) << text;
    }
    EXPECT_NE(text.find("rank " + std::to_string(comm.rank())), std::string::npos) << text;
  }
  send.wait();

  std::vector<std::byte> large(40);
  auto second = comm.start_send(out, comm.rank(), 78);
  EXPECT_THROW(comm.receive(large, comm.rank(), 78), Error);  // a message too short
  second.wait();

  EXPECT_THROW((void)comm.start_send(out, comm.size(), 0), Error);
  EXPECT_THROW((void)comm.start_send(out, 0, -1), Error);
  EXPECT_THROW(comm.send(out, comm.rank(), 0), Error);
}

}  // namespace
}  // namespace weft
