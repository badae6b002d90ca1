#pragma once
// What a person sees while a job runs and when it is done.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weft/render/renderer.h"

namespace weft {

/// Rank 0: on a terminal a bar with units done, rate and time left, redrawn; otherwise a line every
/// 10 s and one at the end of each stage. Other ranks: silent.
std::unique_ptr<Progress> make_progress(bool speaks);

/// What every rank has to report at the end of a job.
struct RankReport {
  int rank = 0;
  std::string host;
  std::string device;  // name of its GPU, else of its processor
  int threads = 1;
  double wall_seconds = 0;
  double peak_memory = 0;               // bytes, resident
  std::int64_t bytes_sent = 0;          // through the communicator
  std::optional<double> energy_joules;  // of its GPU from the job's begin to the last frame
  /// Seconds since the job began on rank 0, by rank 0's clock: ranks can be laid side by side.
  std::vector<Span> spans;
  std::array<std::int64_t, stage_count> device_peaks{};  // bytes of GPU memory, by stage
};

/// The closing table: per stage the mean and the largest time over the ranks, and its share of the
/// wall time. `encoder_seconds`: of the encoding thread, which runs beside the rest.
std::string stage_table(const std::vector<RankReport>& ranks, double encoder_seconds);

}  // namespace weft
