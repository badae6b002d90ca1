#include "weft/run/output_claim.h"

#include <chrono>
#include <thread>

#include "weft/base/log.h"
#include "weft/base/stages.h"

#include "output_paths.h"

namespace weft {
namespace {

/// Waits until the lease there shows whether its owner lives: it beats six times in its timeout.
std::optional<Lease> take(const std::filesystem::path& folder, double timeout) {
  LeaseWatch watch(timeout);
  if (auto lease = Lease::try_take(folder, watch)) return lease;
  const LeaseLook first = watch.look(folder);
  const double until = now_seconds() + std::max(timeout, first.info ? first.info->timeout : 0) + 2;
  log_info("{} holds a lease{}: looking for {:.0f} s at most whether it is kept up",
           folder.string(), first.info ? " of " + first.info->host : "", until - now_seconds());
  while (now_seconds() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    if (auto lease = Lease::try_take(folder, watch)) return lease;
    const LeaseLook now = watch.look(folder);
    if (first.info && now.info && now.info->beat != first.info->beat) break;  // it is alive
  }
  return std::nullopt;
}

std::string owner_text(const std::filesystem::path& folder, double timeout) {
  const auto info = LeaseWatch(timeout).look(folder).info;
  if (!info) return "another run";
  return fmt::format("process {} on {}{}", info->pid, info->host,
                     info->slurm_job.empty() ? "" : ", Slurm job " + info->slurm_job);
}

}  // namespace

OutputClaim::OutputClaim(const Job& job, const Communicator& comm, double lease_timeout) {
  std::string problem;
  if (comm.rank() == 0) {
    folder_ = work_folder(job);
    try {
      std::error_code failed;
      std::filesystem::create_directories(folder_, failed);
      if (failed) fail("{}: cannot be made: {}", folder_.string(), failed.message());
      lease_ = take(folder_, lease_timeout);
      if (!lease_) {
        problem =
            fmt::format("output: {} is being written by {}: wait for it, or write to another file",
                        job.output.string(), owner_text(folder_, lease_timeout));
      } else {
        if (lease_->taken_from()) {
          log_info("the run that wrote {} before ended without a word: going on in its place",
                   job.output.string());
        }
        remove_unfinished_files(job);
      }
    } catch (const Error& e) {
      problem = fmt::format("output: {}", e.what());
    }
  }
  comm.broadcast_string(problem, 0);
  if (!problem.empty()) fail_input("{}", problem);
}

OutputClaim::~OutputClaim() {
  if (!lease_) return;
  lease_.reset();
  std::error_code not_empty;
  std::filesystem::remove(folder_, not_empty);
}

}  // namespace weft
