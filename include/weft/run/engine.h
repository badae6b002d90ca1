#pragma once
// What a group of ranks renders with, from job to job: device, network, loaded models.

#include <memory>
#include <optional>

#include "weft/comm/fabric.h"
#include "weft/comm/session.h"
#include "weft/device/gpu_energy.h"
#include "weft/model/loaded_models.h"
#include "weft/parallel/linked_weight_peers.h"
#include "weft/render/renderer.h"
#include "weft/run/render_job.h"

namespace weft {

class Engine {
 public:
  /// Collective over `comm`. `threads`: of this rank; 0: its share of the host's processors.
  /// `keep`: which models stay in memory. Error when a device or the network between devices cannot
  /// be used.
  Engine(const Communicator& comm, const Session& session, const Machine& machine, int threads,
         Keep keep);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] const Communicator& comm() const { return comm_; }
  [[nodiscard]] int threads() const { return threads_; }
  [[nodiscard]] Ops& ops() const { return *ops_; }
  /// For one job; the engine must outlive it.
  [[nodiscard]] RenderContext context(Profile& profile, Progress& progress,
                                      Checkpoints* checkpoints);
  /// Prompts that come after this job's, cleaned (render/renderer.h).
  [[nodiscard]] PromptCache& prompts() { return prompts_; }
  /// What this rank's GPU has consumed, to be told apart from an earlier call; 0 on a rank whose
  /// GPU is another rank's, too, and counted there. Nothing where it is not measured, and on CPUs.
  [[nodiscard]] std::optional<double> joules() const;
  /// Payload bytes this rank has sent: between tensors, and by MPI.
  [[nodiscard]] std::int64_t bytes_sent() const;

 private:
  const Communicator& comm_;
  int threads_;
  std::unique_ptr<Ops> ops_;
  std::optional<GpuEnergy> energy_;
  bool shares_gpu_;
  Fabric fabric_;
  std::unique_ptr<LinkedWeightPeers> peers_;
  LoadedModels models_;
  PromptCache prompts_;
  DecodedSizes decoded_;
};

/// Whether ranks of one host would share a GPU, and which GPU is this rank's.
struct GpuShare {
  int index = 0;
  int gpus = 0;  // of this host
  bool shared = false;
};
GpuShare gpu_share(const Session& session);

}  // namespace weft
