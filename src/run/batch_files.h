#pragma once
// A batch's jobs on the disk: what of a job is kept in the queue, and what comes from the run.

#include <string>

#include "weft/run/batch.h"
#include "weft/run/job.h"

namespace weft {

/// job.toml of a listed job. Keys of the run (of the machine but `precision`, of stopping, output
/// and record) are in it only where the job has another value than the run's `defaults`.
std::string stored_text(const Job& job, const Job& defaults);

/// Reads FOLDER/jobs/ID/job.toml over the run's keys of `defaults` and says where its files go.
/// InputError: what is wrong in it.
Job stored_job(const std::filesystem::path& folder, const std::string& id, const Job& defaults);

/// All values of a job as one text, for its way between ranks, and back.
std::string pack_job(const Job& job);
Job unpack_job(const std::string& text);

/// What attempts that were killed left beside the clip; makes the folder of checkpoints.
void clear_job_folder(const Job& job);

}  // namespace weft
