#pragma once
// The record of a run (HDF5): what is needed to repeat it and where its time went. Read it with
// h5dump, h5py or `weft inspect`.
//
//   /            weft_version, schema, written, command
//   /config      one attribute per job key, as the command line would take it
//   /model       name, sizes; /model/files: name and bytes of every weight file
//   /plan        windows [n, 6], owner [n], pieces [m, 6], piece_owner [m] (boxes: begin, end per
//   axis) /ranks       host, threads, wall_seconds, peak_memory, bytes_sent /stages      names;
//   seconds [ranks, stages] (exclusive), bytes [ranks, stages] /spans/RANK  [spans, 4]: stage,
//   begin s, end s, bytes /result      frames, encoder_seconds, seam_* figures

#include <filesystem>
#include <string>
#include <vector>

#include "weft/render/seam_meter.h"
#include "weft/run/console.h"
#include "weft/run/job.h"

namespace weft {

struct RunResult {
  std::int64_t frames = 0;
  double encoder_seconds = 0;
  SeamMeter::Figure seams;
  std::vector<std::string> versions;  // "name version" of libraries
};

void write_run_record(const std::filesystem::path& path, const Job& job, const ModelFolder& model,
                      const Clip& clip, const RenderPlan& plan,
                      const std::vector<RankReport>& ranks, const RunResult& result);

}  // namespace weft
