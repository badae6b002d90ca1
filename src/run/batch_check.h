#pragma once
// Every job of a batch is checked before the first is begun.

#include <string>
#include <vector>

#include "weft/run/batch.h"
#include "weft/run/queue_folder.h"

#include "job_checks.h"

namespace weft {

/// Rank 0 checks all jobs; every rank checks that it has the devices they ask for. Throws the same
/// InputError on every rank: at most 50 problems are listed. Gives the jobs for the queue on rank
/// 0. Collective.
std::vector<QueueJob> check_jobs(const std::vector<ListedJob>& jobs, const BatchOptions& options,
                                 const Problems& found, int ranks_per_job,
                                 const Communicator& world, const Session& session);

/// Floating-point operations of a clip: what the queue calls its work.
double work_of(const PlanFigures& figures);

}  // namespace weft
