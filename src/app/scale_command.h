#pragma once
// weft scale: how much faster more ranks are.

#include "weft/comm/session.h"

#include "arguments.h"

namespace weft {

/// Fits the records that --from names and prints what comes of it. Needs no ranks. InputError: what
/// is wrong with them.
void fit_known_records(const Arguments& arguments);

/// Measures, then fits what lies in the folder and writes FOLDER/scaling.json. The exit code.
/// InputError, the same on every rank: what is wrong with the job.
int scale_command(const Arguments& arguments, const Problems& found, const Session& session);

}  // namespace weft
