#pragma once
// Which process holds a lease, and whether it still runs.

#include "weft/run/lease.h"

namespace weft {

/// Host, machine, process and Slurm job of this process; a new token; beat 0.
LeaseInfo this_process(double timeout, const std::string& worker);

/// True only when that is certain: the process ran on this very machine and ended, or its id
/// belongs to a younger process by now.
bool process_is_gone(const LeaseInfo& info);

}  // namespace weft
