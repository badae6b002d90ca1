#pragma once
// A sweep: every combination of some values of some keys, as jobs.
//
//   [base]                                          # keys of all points
//   model = "wan"
//   [sweep]                                         # an axis per key; the last one runs fastest
//   guidance-scale = { from = 3, to = 6, step = 0.5 }   # or count = 7 instead of step
//   sampler = ["unipc", "euler"]
//   [zip]                                           # one axis: these keys advance together
//   prompt = ["a red kite", "a grey heron"]
//   seed = [1, 2]

#include <filesystem>
#include <string>
#include <vector>

#include "weft/run/job_list.h"

namespace weft {

struct SweepAxis {
  std::vector<std::string> keys;                 // one, or those of [zip]
  std::vector<std::vector<std::string>> values;  // [n][keys], as JobKey::get() gives them
};

struct Sweep {
  std::vector<SweepAxis> axes;    // in the order of the file
  std::vector<ListedJob> points;  // last axis fastest; `where` is "sweep.toml: point 12"
};

/// Reads a sweep file over `defaults`. Every key of a job but `output` and `record` may be swept.
/// A range's numbers are from + i step rounded once, so steps of 0.1 are 0.1, 0.2, 0.3; `to` is
/// one of them when the steps meet it. Ids say the swept values ("guidance-scale-3.5_seed-7", cut
/// and with a hash of the job where that would be long or not safe), and are unique.
///
/// Problems are "FILE:LINE: KEY: what is wrong" as for job lists. At most 100,000 points.
Sweep read_sweep(const std::filesystem::path& file, const Job& defaults, Problems& problems);

/// The axes, the number of points, and a table of the first 50 of them.
std::string describe(const Sweep& sweep);

}  // namespace weft
