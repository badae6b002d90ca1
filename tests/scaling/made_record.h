#pragma once
// Records of runs that never were: times by a simple law, so that every figure can be reckoned.

#include <string>

#include "weft/run/run_record.h"

namespace weft::test {

inline RankReport made_rank(int rank, int ranks, int steps, double step_seconds) {
  RankReport r;
  r.rank = rank;
  r.host = "node" + std::to_string(rank / 4);
  r.device = "AMD EPYC";
  r.threads = 2;
  double at = 0;
  const auto spend = [&](Stage stage, double seconds, std::int64_t bytes = 0, int step = -1) {
    r.spans.push_back({stage, at, at + seconds, bytes, step, stage == Stage::denoise ? 1e9 : 0});
    at += seconds;
  };
  spend(Stage::load, 0.5);
  spend(rank == 0 ? Stage::encode_text : Stage::wait, 0.25);
  for (int step = 0; step < steps; ++step) {
    const double begin = at;
    at += step_seconds / ranks;
    if (ranks > 1) spend(Stage::exchange, 0.125, 1000, step);
    r.spans.push_back({Stage::denoise, begin, at, 0, step, 1e9});  // around the exchange
  }
  spend(Stage::decode, 2.0 / ranks, 0, rank);
  if (rank == 0) spend(Stage::encode_video, 0.25);
  r.wall_seconds = at;
  r.peak_memory = 2e9 + 1e8 * rank;
  r.bytes_sent = ranks > 1 ? 1000 * steps : 0;
  return r;
}

inline RunRecord made_record(int ranks, const std::string& name = "clip", double slower = 1,
                             int steps = 4) {
  RunRecord r;
  r.path = name + ".record.h5";
  r.weft_version = "0.1.0";
  r.written = "2026-11-27T12:00:00Z";
  r.command = "render";
  r.versions = {"weft 0.1.0", "Open MPI 4.1.4"};
  r.config = {{"frames", "17"},
              {"model", "models/weft-mini"},
              {"output", name + ".mp4"},
              {"prompt", "a <kite> & \"the\" sea, it's 红色的风筝"},
              {"seed", "7"}};
  r.width = 128;
  r.height = 96;
  r.frames = r.frames_made = 17;
  r.steps = steps;
  r.fps = 10;
  r.guidance_scale = 3;
  r.flow_shift = 3;
  r.model = "weft-mini";
  r.model_path = "/models/weft-mini";
  r.model_fingerprint = "0123456789abcdef";
  r.layers = 8;
  r.dim = 256;
  r.model_files = {{"vae/model.safetensors", 1000, "00112233aabbccdd"}};
  r.device = "cpu";
  r.precision = "f32";
  r.grid.groups = ranks;
  for (int rank = 0; rank < ranks; ++rank) {
    r.ranks.push_back(made_rank(rank, ranks, steps, slower));
  }
  return r;
}

}  // namespace weft::test
