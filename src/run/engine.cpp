#include "weft/run/engine.h"

#include "weft/base/log.h"
#include "weft/device/device_api.h"

namespace weft {
namespace {

std::unique_ptr<Ops> make_ops(const Machine& machine, int threads, const Session& session) {
  if (machine.device == DeviceKind::cpu) return make_cpu_ops(threads);
  const GpuShare share = gpu_share(session);
  if (share.shared && session.local_rank() == 0) {
    log_warn("{} ranks share {} GPU{} on {}: one rank per GPU is faster", session.local_size(),
             share.gpus, share.gpus == 1 ? "" : "s", session.host());
  }
  return make_cuda_ops(share.index, machine.precision);
}

/// The counter of this rank's GPU. Of several ranks that share one, the first has it.
std::optional<GpuEnergy> make_energy(const Machine& machine, const Session& session) {
  if (machine.device == DeviceKind::cpu) return std::nullopt;
  if (session.local_rank() >= gpu_share(session).gpus) return std::nullopt;
  return GpuEnergy(cuda_device_bus_id());
}

std::unique_ptr<LinkedWeightPeers> make_peers(Fabric& fabric, const Communicator& comm) {
  if (comm.size() == 1) return nullptr;
  fabric.prepare();
  return std::make_unique<LinkedWeightPeers>(fabric, comm);
}

}  // namespace

GpuShare gpu_share(const Session& session) {
  const int gpus = cuda_device_count();
  if (gpus == 0) return {};
  return {session.local_rank() % gpus, gpus, session.local_size() > gpus};
}

Engine::Engine(const Communicator& comm, const Session& session, const Machine& machine,
               int threads, Keep keep)
    : comm_(comm),
      threads_(threads > 0 ? threads : threads_for_rank(comm, session)),
      ops_(make_ops(machine, threads_, session)),
      energy_(make_energy(machine, session)),
      shares_gpu_(machine.device == DeviceKind::cuda && !energy_),
      fabric_(comm, machine.device),
      peers_(make_peers(fabric_, comm)),
      models_(Placement(*ops_, peers_.get(), machine.shard_weights && peers_ != nullptr), keep) {}

RenderContext Engine::context(Profile& profile, Progress& progress, Checkpoints* checkpoints) {
  return {comm_, fabric_, *ops_, models_, prompts_, decoded_, profile, progress, checkpoints};
}

std::optional<double> Engine::joules() const {
  if (shares_gpu_) return 0;
  return energy_ ? energy_->joules() : std::nullopt;
}

std::int64_t Engine::bytes_sent() const { return comm_.bytes_sent() + fabric_.bytes_sent(); }

}  // namespace weft
