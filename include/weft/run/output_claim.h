#pragma once
// One run at a time writes a clip: the lease of the job's work folder (beside the clip), held by
// rank 0.

#include <optional>

#include "weft/comm/communicator.h"
#include "weft/run/job.h"
#include "weft/run/lease.h"

namespace weft {

class OutputClaim {
 public:
  /// Makes the work folder and takes its lease; a lease that nobody keeps up is taken over, which
  /// may take its timeout. InputError on every rank when another run holds it: names that run.
  /// Collective.
  OutputClaim(const Job& job, const Communicator& comm, double lease_timeout = 60);
  /// Gives the lease back. The folder goes when nothing is left in it.
  ~OutputClaim();
  OutputClaim(const OutputClaim&) = delete;
  OutputClaim& operator=(const OutputClaim&) = delete;

 private:
  std::filesystem::path folder_;  // rank 0
  std::optional<Lease> lease_;
};

}  // namespace weft
