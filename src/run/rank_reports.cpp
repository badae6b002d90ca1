// Receives a rank's report, hands those of all ranks to rank 0.
#include "rank_reports.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <sys/resource.h>

namespace weft {

double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

void shift_spans(std::vector<Span>& spans, double zero) {
  for (Span& span : spans) {
    span.begin -= zero;
    span.end -= zero;
  }
}

std::vector<RankReport> gather_reports(const Communicator& comm, const RankReport& mine,
                                       double begin) {
  // All ranks leave this at the same moment, as nearly as the network can tell: it ties their
  // clocks together.
  static_cast<void>(comm.max(0));
  const double same_moment = now_seconds();
  const auto hosts = comm.gather_strings(mine.host, 0);
  const auto devices = comm.gather_strings(mine.device, 0);
  const std::array<double, 6> numbers{
      static_cast<double>(mine.threads),
      mine.wall_seconds,
      mine.peak_memory,
      static_cast<double>(mine.bytes_sent),
      mine.energy_joules.value_or(std::numeric_limits<double>::quiet_NaN()),
      same_moment};
  const auto all_numbers = comm.gather(std::as_bytes(std::span(numbers)), 0);
  const auto all_peaks = comm.gather(std::as_bytes(std::span(mine.device_peaks)), 0);
  const auto all_spans = comm.gather(std::as_bytes(std::span(mine.spans)), 0);
  std::vector<RankReport> reports;
  for (std::size_t r = 0; r < hosts.size(); ++r) {
    std::array<double, 6> n{};
    std::memcpy(n.data(), all_numbers[r].data(), sizeof n);
    RankReport report{.rank = static_cast<int>(r),
                      .host = hosts[r],
                      .device = devices[r],
                      .threads = static_cast<int>(n[0]),
                      .wall_seconds = n[1],
                      .peak_memory = n[2],
                      .bytes_sent = static_cast<std::int64_t>(n[3]),
                      .energy_joules = {},
                      .spans = {},
                      .device_peaks = {}};
    std::memcpy(report.device_peaks.data(), all_peaks[r].data(), sizeof report.device_peaks);
    report.spans.resize(all_spans[r].size() / sizeof(Span));
    if (!report.spans.empty()) {
      std::memcpy(report.spans.data(), all_spans[r].data(), all_spans[r].size());
    }
    if (!std::isnan(n[4])) report.energy_joules = n[4];
    shift_spans(report.spans, n[5] - (same_moment - begin));
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace weft
