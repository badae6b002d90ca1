#pragma once
// What every rank has to say about a job, gathered on rank 0.

#include <vector>

#include "weft/comm/communicator.h"
#include "weft/run/console.h"

namespace weft {

/// The most memory this process has had, bytes.
double peak_memory();

/// Every rank's report on rank 0, in rank order; nothing elsewhere. `mine` has its spans by this
/// rank's clock, now_seconds(), and `begin` is when the job began by it. Collective.
std::vector<RankReport> gather_reports(const Communicator& comm, const RankReport& mine,
                                       double begin);
/// From one clock to another, which begins when this one shows `zero`.
void shift_spans(std::vector<Span>& spans, double zero);

}  // namespace weft
