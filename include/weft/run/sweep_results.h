#pragma once
// What a sweep gives when all its points are done: a table for programs, a sheet for the eye.

#include <filesystem>

#include "weft/run/sweep.h"

namespace weft {

struct SweepResults {
  std::filesystem::path table;  // FOLDER/table.csv
  std::filesystem::path sheet;  // FOLDER/sheet.png; empty: too many points for one picture
};

/// Reads the clips and records that run_batch() has left in `folder`.
///   table.csv  a row per point (RFC 4180): id, the swept keys, frames, wall_seconds,
///              denoise_seconds (mean of the ranks), seam_frames, seam_rows, seam_columns,
///              warping_error (of jobs with quality-figures), clip (relative to the folder); empty
///              where there is no such figure or no record
///   sheet.png  a cell per point with the clip's middle frame (up to 12 points: first, middle and
///              last); the last axis runs along the columns, all others along the rows; labels say
///              the values, long ones cut
/// Error: a clip or a record cannot be read, or the files cannot be written.
SweepResults write_sweep_results(const Sweep& sweep, const std::filesystem::path& folder);

}  // namespace weft
