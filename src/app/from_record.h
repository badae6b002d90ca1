#pragma once
// `weft render --from-record R`: the job of a run record, once more.

#include <string>
#include <vector>

#include "weft/run/render_job.h"
#include "weft/run/run_record.h"

namespace weft {

/// The record's keys over `job`, but for where its files went. Keys that this weft does not know,
/// or whose values it refuses, are problems that name the record.
void take_from_record(const RunRecord& record, Job& job, Problems& problems);

/// A problem when the job's model is the record's and not where it was. The job then has none, so
/// that nobody complains of it again.
void check_recorded_model(const RunRecord& record, Job& job, Problems& problems);

/// What is no longer as it was, one line each: weft itself, the device, the model's files by name.
/// The clip may then come out differently.
std::vector<std::string> changes_since(const RunRecord& record, const PreparedJob& prepared,
                                       const Machine& machine);

}  // namespace weft
