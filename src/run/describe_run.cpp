// Receives a prepared job, hands its part of the run record to rendered_clip.
#include "weft/run/describe_run.h"

#include <cstdlib>
#include <fstream>

#include <sys/utsname.h>

#include "weft/device/device_api.h"
#include "weft/device/gpu_energy.h"
#include "weft/io/flow_meter.h"
#include "weft/io/hdf5_file.h"
#include "weft/io/video_encoder.h"
#include "weft/run/checkpoint.h"

namespace weft {
namespace {

std::string precision_name(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
    case Precision::fp8:
      return "fp8";
  }
  return "?";
}

std::string config_text(const JobKey& key, const Job& job) {
  const std::string text = key.get(job);
  const bool is_file = key.type == JobValue::path && !text.empty() &&
                       !(text == "none" && key.metavar == std::string("PATH|none"));
  return is_file ? std::filesystem::absolute(text).lexically_normal().string() : text;
}

void describe_clip(const Clip& clip, RunRecord& r) {
  r.width = clip.width;
  r.height = clip.height;
  r.frames = clip.frames;
  r.steps = clip.steps;
  r.fps = clip.fps;
  r.guidance_scale = clip.guidance_scale;
  r.guidance_scale_2 = clip.guidance_scale_2;
  r.flow_shift = clip.flow_shift;
}

void describe_plan(const PreparedJob& prepared, const Machine& machine, RunRecord& r) {
  const RenderPlan& plan = prepared.plan;
  r.device = device_name(machine.device);
  r.precision = precision_name(machine.precision);
  r.grid = plan.grid;
  for (const auto& window : plan.windows.windows) r.windows.push_back(window.box);
  r.owner = plan.owner;
  r.pieces = plan.pieces;
  r.piece_owner = plan.piece_owner;
  const PlanFigures figures = plan_figures(plan, prepared.clip, prepared.model, machine);
  r.flops[static_cast<std::size_t>(Stage::encode_text)] = figures.flops_text;
  r.flops[static_cast<std::size_t>(Stage::denoise)] = figures.flops_denoise;
  r.flops[static_cast<std::size_t>(Stage::decode)] = figures.flops_decode;
  r.predicted_seconds = figures.seconds;
  r.predicted_speedup = figures.speedup();
}

}  // namespace

std::vector<std::string> library_versions(const Session& session, DeviceKind device) {
  // Implementations go on about who built them and when.
  const std::string mpi = session.library_version();
  std::vector<std::string> versions{mpi.substr(0, mpi.find_first_of(",\n")), hdf5_version()};
  const auto add = [&](const std::vector<std::string>& more) {
    versions.insert(versions.end(), more.begin(), more.end());
  };
  add(video_library_versions());
  if (device == DeviceKind::cpu) return versions;
  if (const std::string driver = nvidia_driver_version(); !driver.empty()) {
    versions.push_back("NVIDIA driver " + driver);
  }
  add(cuda_versions());
  return versions;
}

std::string device_name_of(DeviceKind device) {
  if (device == DeviceKind::cuda) return cuda_device_name();
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t name = line.find_first_not_of(" \t", line.find(':') + 1);
    if (name != std::string::npos) return line.substr(name);
  }
  utsname machine{};  // ARM's kernel names no model
  return uname(&machine) == 0 ? machine.machine : "unknown processor";
}

RunRecord describe_run(const Job& job, const PreparedJob& prepared, const Session& session) {
  const Machine& machine = prepared.machine;
  const ModelFolder& model = prepared.model;
  RunRecord r;
  r.weft_version = WEFT_VERSION;
  r.command = "render";
  const char* slurm_job = std::getenv("SLURM_JOB_ID");
  r.slurm_job = slurm_job == nullptr ? "" : slurm_job;
  r.versions = library_versions(session, machine.device);
  if (job.quality_figures) r.versions.push_back(FlowMeter::library());
  for (const JobKey& key : job_keys()) r.config.emplace_back(key.name, config_text(key, job));
  describe_clip(prepared.clip, r);
  r.model = model.name;
  r.model_path = std::filesystem::absolute(model.path).lexically_normal().string();
  r.model_fingerprint = model_fingerprint(model);
  r.model_files = model_files(model);
  r.layers = model.transformer.layers;
  r.dim = model.transformer.dim();
  describe_plan(prepared, machine, r);
  r.price_per_gpu_hour = job.price_per_gpu_hour;
  return r;
}

}  // namespace weft
