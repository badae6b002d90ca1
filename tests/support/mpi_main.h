#pragma once
// main() of a test program under mpirun: one session, failures of every rank count, and only ranks
// that fail print (rank 0 also prints the usual progress).

#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "weft/comm/communicator.h"
#include "weft/comm/session.h"

namespace weft::test {

inline const Session* the_session = nullptr;
/// The session that main() made.
inline const Session& session() { return *the_session; }

class RankPrinter : public ::testing::EmptyTestEventListener {
 public:
  explicit RankPrinter(const Session& session) : session_(session) {}

  // Kept, because UnitTest may not be asked while it reports a failure: it holds its lock.
  void OnTestStart(const ::testing::TestInfo& test) override {
    test_ = std::string(test.test_suite_name()) + "." + test.name();
  }

  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d of %d, %s: %s:%d: %s\n", session_.rank(), session_.size(),
                 test_.c_str(), result.file_name() ? result.file_name() : "", result.line_number(),
                 result.message());
    // The test returns early on this rank alone: its peers would wait for ever.
    if (result.fatally_failed() && session_.size() > 1) Session::abort(1);
  }

 private:
  const Session& session_;
  std::string test_;
};

}  // namespace weft::test

int main(int argc, char** argv) {
  const weft::Session session(argc, argv);
  weft::test::the_session = &session;
  ::testing::InitGoogleTest(&argc, argv);
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  std::unique_ptr<::testing::TestEventListener> usual(
      listeners.Release(listeners.default_result_printer()));
  if (session.rank() == 0) listeners.Append(usual.release());
  listeners.Append(new weft::test::RankPrinter(session));
  GTEST_FLAG_SET(catch_exceptions, false);  // an exception on one rank must end them all
  try {
    const int failed = RUN_ALL_TESTS();
    return weft::Communicator::world().max(failed) > 0 ? 1 : 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rank %d of %d: %s\n", session.rank(), session.size(), e.what());
    weft::Session::abort(1);
  }
}
