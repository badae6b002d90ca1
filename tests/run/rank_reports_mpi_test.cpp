// What every rank reports arrives on rank 0 whole, with its times on rank 0's clock.
#include <chrono>
#include <thread>

#include "rank_reports.h"
#include "support/mpi_main.h"

namespace weft {
namespace {

// Would catch: spans left on their rank's own clock, which begins when the rank first asks.
TEST(RankReports, ArriveOnTheClockOfRankZero) {
  const auto comm = Communicator::world();
  const int rank = comm.rank();
  std::this_thread::sleep_for(std::chrono::milliseconds(300 * rank));
  const double late = now_seconds();  // the clock of a late rank shows less
  static_cast<void>(comm.max(late));
  const double now = now_seconds();
  RankReport mine{.rank = rank,
                  .host = "host " + std::to_string(rank),
                  .device = "device " + std::to_string(rank),
                  .threads = rank + 1,
                  .wall_seconds = 2.5 * rank,
                  .peak_memory = 1e9 + rank,
                  .bytes_sent = 1000 + rank,
                  .energy_joules = {},
                  .spans = {{Stage::denoise, now, now + 0.25, 7, rank, 1e9}},
                  .device_peaks = {}};
  if (rank == 1) mine.energy_joules = 12.5;
  mine.device_peaks[2] = 50 + rank;
  if (rank == 2) mine.spans.clear();
  const auto all = gather_reports(comm, mine, now - 10);  // the job began 10 s ago
  if (rank != 0) {
    EXPECT_TRUE(all.empty());
    return;
  }
  ASSERT_EQ(all.size(), static_cast<std::size_t>(comm.size()));
  for (int r = 0; r < comm.size(); ++r) {
    const RankReport& report = all[static_cast<std::size_t>(r)];
    EXPECT_EQ(report.rank, r);
    EXPECT_EQ(report.host, "host " + std::to_string(r));
    EXPECT_EQ(report.device, "device " + std::to_string(r));
    EXPECT_EQ(report.threads, r + 1);
    EXPECT_EQ(report.wall_seconds, 2.5 * r);
    EXPECT_EQ(report.peak_memory, 1e9 + r);
    EXPECT_EQ(report.bytes_sent, 1000 + r);
    EXPECT_EQ(report.energy_joules, r == 1 ? std::optional(12.5) : std::nullopt);
    EXPECT_EQ(report.device_peaks[2], 50 + r);
    ASSERT_EQ(report.spans.size(), r == 2 ? 0U : 1U);
    if (report.spans.empty()) continue;
    const Span& span = report.spans[0];
    EXPECT_NEAR(span.begin, 10, 0.2) << "rank " << r;
    EXPECT_NEAR(span.end - span.begin, 0.25, 1e-9);
    EXPECT_EQ(span.bytes, 7);
    EXPECT_EQ(span.step, r);
    EXPECT_EQ(span.flops, 1e9);
  }
}

}  // namespace
}  // namespace weft
