#pragma once
// weft batch: the clips of a list, or of what lies in a folder.

#include "weft/comm/session.h"
#include "weft/run/batch.h"

#include "arguments.h"

namespace weft {

/// The folder's state in words. Needs no ranks. InputError when it is not the folder of a batch.
void print_batch_status(const std::filesystem::path& folder);

/// The exit code. InputError, the same on every rank: what is wrong with the list or its jobs.
int batch_command(const Arguments& arguments, const Problems& found, const Session& session);

/// Options of the command line for the run layer.
BatchOptions batch_options(const Arguments& arguments);

}  // namespace weft
