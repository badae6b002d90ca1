#pragma once
// Times one clip on several numbers of ranks of one run.
//
//   FOLDER/ranksN-runR.record.h5   a run record of every measured run
//          ranksN.mp4              the clip of the last of them (FFV1: .mkv), when clips are kept
//
// Ranks 0 to N - 1 render, the others sleep. Every number of ranks has the same threads per rank
// and an engine of its own that is warmed up by a short run, which is not measured; models stay
// loaded where those of all engines fit into memory. Repetitions are interleaved, every other one
// from many ranks to few, so that a machine that slows down or warms up touches all alike. Nothing
// is kept from one run to the next: prompts are encoded anew, and no checkpoints are written.
// A run whose record is there is not repeated.

#include <filesystem>
#include <vector>

#include "weft/comm/communicator.h"
#include "weft/comm/session.h"
#include "weft/run/render_job.h"
#include "weft/scaling/series.h"

namespace weft {

struct ScaleOptions {
  std::filesystem::path folder;
  Job job;                 // for weak scaling, what one rank gets
  std::vector<int> ranks;  // empty: powers of two and all ranks of the run
  int repeats = 3;
  Weak weak = Weak::none;
  bool keep_clips = true;
};

/// Powers of two below `all`, and `all`.
std::vector<int> usual_ranks(int all);
/// "1,2,4" in any order to {1, 2, 4}. InputError for anything else, also for one twice.
std::vector<int> parse_ranks(const std::string& text);

/// The file of a measured run.
std::filesystem::path scale_record(const std::filesystem::path& folder, int ranks, int run);

/// The job on `ranks` ranks: `frames` or `width` of it grow so that the latents are `ranks` times
/// those of the clip that `prepared` describes.
Job job_on(const Job& job, const PreparedJob& prepared, Weak weak, int ranks);

/// Runs what is not there yet. False when it was told to stop; the same call goes on. InputError,
/// the same on every rank before anything is computed: all that is wrong with the job on any of the
/// numbers of ranks, and records in the folder that are of other work. Collective over `world`, all
/// ranks of the session.
bool measure_scaling(const ScaleOptions& options, const Problems& found, const Communicator& world,
                     const Session& session);

/// The same checks; rank 0 prints what would be run and how long the plan takes it to be.
void check_scaling(const ScaleOptions& options, const Problems& found, const Communicator& world,
                   const Session& session);

/// What a reader must know of how this run measured: ranks that share processors. Collective.
std::vector<std::string> measuring_notes(const ScaleOptions& options, const Communicator& world,
                                         const Session& session);

}  // namespace weft
