#pragma once
// Checkpoints of a job under way: HDF5 files beside its clip, whole or not there.
//
//   /                 schema, steps_done
//   /identity         one attribute per thing that the result depends on
//   /windows/W        numbers of window W's solver
//   /windows/W/...    its tensors: latents and what the solver remembers, float32
//
// The file before the newest is kept under NAME.previous. All content carries checksums.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "weft/comm/communicator.h"
#include "weft/render/denoise_state.h"
#include "weft/run/job.h"
#include "weft/run/render_job.h"

namespace weft {

/// What a result depends on, name and value: job keys, what the model's defaults filled in, the
/// model's files, the version. The number of ranks is not among them.
using JobIdentity = std::vector<std::pair<std::string, std::string>>;
JobIdentity job_identity(const Job& job, const PreparedJob& prepared);

/// Sizes and the content of both ends of every weight file, as 16 hexadecimal digits: tells models
/// apart without reading them through.
std::string model_fingerprint(const ModelFolder& model);

/// The files of one job, on one rank.
class CheckpointFiles {
 public:
  CheckpointFiles(std::filesystem::path file, JobIdentity identity)
      : file_(std::move(file)), identity_(std::move(identity)) {}
  /// Writes; what was the newest becomes the previous. Error: path and cause; both are then still
  /// as they were.
  void write(const DenoiseState& state) const;
  /// The newest that can be read; a damaged one is told and the one before it taken. Nothing when
  /// there is none. InputError when it is another job's: says what differs.
  [[nodiscard]] std::optional<DenoiseState> read() const;
  /// InputError when what is there is another job's.
  void check() const;
  void remove() const;
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

 private:
  [[nodiscard]] std::filesystem::path previous() const;
  [[nodiscard]] DenoiseState read_file(const std::filesystem::path& file) const;

  std::filesystem::path file_;
  JobIdentity identity_;
};

/// Where a job's checkpoints are; to be made on rank 0.
CheckpointFiles checkpoint_files(const Job& job, const PreparedJob& prepared);

/// InputError on every rank when the job would go on from another job's checkpoint. Collective.
void check_checkpoint(const Job& job, const PreparedJob& prepared, const Communicator& comm);

/// Checkpoints of a job on all its ranks: rank 0 writes them on a thread beside the computation.
class JobCheckpoints final : public Checkpoints {
 public:
  /// `every`: seconds between them; 0: only when the job is stopped. `files`: on rank 0.
  JobCheckpoints(const Communicator& comm, std::optional<CheckpointFiles> files, double every,
                 bool resume);
  ~JobCheckpoints() override;

  std::optional<DenoiseState> load() override;
  Then after_step(int done, int total) override;
  void save(DenoiseState mine) override;

  /// Waits for the last write.
  void wait();
  /// wait(); Error when the newest state could not be written.
  void finish_writing();
  /// The clip is done: nothing is needed any more.
  void remove();
  /// Why the job was told to stop.
  [[nodiscard]] const std::string& stop_reason() const { return stop_reason_; }
  /// Rank 0: steps in the newest file, how many were kept, and seconds that save() has kept the job
  /// from computing.
  [[nodiscard]] int steps_kept() const { return steps_kept_; }
  [[nodiscard]] int count() const { return count_; }
  [[nodiscard]] double seconds_spent() const { return seconds_spent_; }

 private:
  const Communicator& comm_;
  std::optional<CheckpointFiles> files_;
  double every_;
  bool resume_;
  double last_, step_begin_, longest_step_ = 0, seconds_spent_ = 0;
  int steps_kept_ = 0, count_ = 0;
  std::string stop_reason_, failure_;
  std::thread writer_;
};

}  // namespace weft
