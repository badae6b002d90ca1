#pragma once
// weft bench-net: times of exchanges between the ranks of this run, for people and for plans.

#include "weft/comm/session.h"

#include "arguments.h"

namespace weft {

/// The exit code. InputError, the same on every rank: bad options, one rank, no such device.
int bench_net_command(const Arguments& arguments, const Problems& found, const Session& session);

}  // namespace weft
