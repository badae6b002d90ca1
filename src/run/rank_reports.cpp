// Receives a rank's report, hands those of all ranks to rank 0.
#include "rank_reports.h"

#include <cstring>

#include <sys/resource.h>

namespace weft {

double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

std::vector<RankReport> gather_reports(const Communicator& comm, const RankReport& mine) {
  const auto hosts = comm.gather_strings(mine.host, 0);
  const std::array<double, 4> numbers{static_cast<double>(mine.threads), mine.wall_seconds,
                                      mine.peak_memory, static_cast<double>(mine.bytes_sent)};
  const auto all_numbers = comm.gather(std::as_bytes(std::span(numbers)), 0);
  const auto all_peaks = comm.gather(std::as_bytes(std::span(mine.device_peaks)), 0);
  const auto all_spans = comm.gather(std::as_bytes(std::span(mine.spans)), 0);
  std::vector<RankReport> reports;
  for (std::size_t r = 0; r < hosts.size(); ++r) {
    std::array<double, 4> n{};
    std::memcpy(n.data(), all_numbers[r].data(), sizeof n);
    RankReport report{.rank = static_cast<int>(r),
                      .host = hosts[r],
                      .threads = static_cast<int>(n[0]),
                      .wall_seconds = n[1],
                      .peak_memory = n[2],
                      .bytes_sent = static_cast<std::int64_t>(n[3]),
                      .spans = {},
                      .device_peaks = {}};
    std::memcpy(report.device_peaks.data(), all_peaks[r].data(), sizeof report.device_peaks);
    report.spans.resize(all_spans[r].size() / sizeof(Span));
    if (!report.spans.empty()) {
      std::memcpy(report.spans.data(), all_spans[r].data(), all_spans[r].size());
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace weft
