#pragma once
// `weft compare A B`: PSNR, SSIM and warping errors of two clips.

#include "compare_arguments.h"

namespace weft {

/// Prints a table, writes the files asked for. 0, or 1 when the PSNR is below the least asked for.
/// InputError: compare_clips().
int compare_command(const CompareArguments& arguments);

}  // namespace weft
