#pragma once
// One job on all ranks, from checks to the finished file: what `weft render` and `weft plan` do.

#include <optional>

#include "weft/comm/communicator.h"
#include "weft/comm/session.h"
#include "weft/render/plan.h"
#include "weft/run/job.h"

namespace weft {

/// What the checks leave behind: the job's meaning for its model, the same on every rank.
struct PreparedJob {
  ModelFolder model;
  Clip clip;
  Machine machine;  // what the plan was made for, with the measured figures of its network
  RenderPlan plan;
  std::optional<Image> image;  // rank 0
};

/// Whether the job computes on GPUs ("auto": when this machine has one), how exactly, and how its
/// ranks share the work.
Machine machine_of(const Job& job, int ranks_per_node = 1);

/// Does the job write files (render), or is it only looked at (plan)?
enum class JobUse : std::uint8_t { render, plan };

/// Checks everything that can be checked before computing: keys, model folder, weights' names and
/// shapes, sizes, prompt length, image, output, device. Collective: every rank throws the same
/// InputError, which lists all problems of all ranks. `found`: what was already wrong with the
/// command line or job file, listed with the rest. `plan_ranks`: ranks to plan for;
/// `plan_ranks_per_node`: of a plan, 0: up to 8.
PreparedJob prepare_job(const Job& job, const Problems& found, const Communicator& comm,
                        const Session& session, int plan_ranks, JobUse use,
                        int plan_ranks_per_node = 0);

/// Throws the union of all ranks' problems on every rank. Collective.
void throw_if_any_rank_has_problems(const Communicator& comm, const Problems& mine);

/// Throws the union of all ranks' problems on every rank, when there are any. Collective.
void throw_if_any_rank_has_problems(const Communicator& comm, const Problems& mine);

class Engine;

/// How a job ended that did not fail.
enum class JobEnd : std::uint8_t { done, stopped };

/// Renders a prepared job. Rank 0 writes the clip, the contact sheet and the run record, prints the
/// closing table and where the files are. Stopped by a signal or a time limit: a checkpoint is
/// there, and the same call goes on from it. Collective over the engine's ranks.
JobEnd render_job(const Job& job, const PreparedJob& prepared, Engine& engine,
                  const Session& session);

/// The processors that this rank may use, those that other ranks of its host may use too shared
/// with them: less than 1 where there are more ranks than processors. Collective.
double processors_for_rank(const Communicator& comm, const Session& session);
/// Threads for this rank: the whole ones of these, at least 1. Collective.
int threads_for_rank(const Communicator& comm, const Session& session);

}  // namespace weft
