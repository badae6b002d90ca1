#pragma once
// The spans of runs for trace viewers (chrome://tracing, Perfetto): a JSON array of events of the
// Trace Event Format.

#include <filesystem>
#include <string>
#include <vector>

#include "weft/run/run_record.h"

namespace weft {

/// Complete events ("ph": "X"), named as the stages are, with step, bytes and flops where a span
/// has them; times in microseconds since the job began. A process is a rank, "rank 3 (host)": its
/// pid is the rank; with several records those of record i begin at i times a power of ten that no
/// rank reaches, and their names begin with the record's. Spans of one thread nest; one that would
/// not goes to the next thread.
std::string trace_json(const std::vector<RunRecord>& records);

}  // namespace weft
