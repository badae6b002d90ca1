#pragma once
// weft sweep: every combination of some values as a batch, then a table and a sheet of all.

#include "weft/comm/session.h"

#include "arguments.h"

namespace weft {

/// The exit code. InputError, the same on every rank: what is wrong with the file or its points.
int sweep_command(const Arguments& arguments, const Problems& found, const Session& session);

}  // namespace weft
