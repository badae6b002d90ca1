#pragma once
// The record of a run (HDF5, schema 2): what is needed to repeat it and where its time went. Read
// it with `weft inspect`, read_run_record(), h5py or h5dump. Text is UTF-8, numbers are float64 or
// int64, seconds and bytes throughout. Every figure that is not there was not measured.
//
//   /                          attributes:
//     schema                   2
//     weft_version             of the program that wrote it
//     written                  UTC, ISO 8601
//     command                  "render", "batch", "scale"
//     slurm_job                number of the Slurm job, "" outside Slurm
//   /versions            [v]   "name version" of libraries and drivers
//   /config                    one attribute per job key, as the command line would take it; paths
//                              are absolute
//     /resolved                width, height, frames, steps, fps, guidance-scale, guidance-scale-2,
//                              flow-shift: the model's defaults filled in
//   /model                     name, path (absolute), layers, dim (of the transformer),
//                              fingerprint (of all weight files: run/checkpoint.h)
//     /files/name        [f]   weight files: "transformer/diffusion_pytorch_model.safetensors"
//     /files/bytes       [f]   their sizes
//     /files/hash        [f]   of name, size and 64 KiB at both ends: FNV-1a, 16 hex digits
//   /plan                      device ("cpu", "cuda"), precision ("f32", "bf16", "fp8"),
//                              groups, cfg, ulysses, ring (that denoise: grid/process_grid.h),
//                              predicted_seconds, predicted_speedup (of denoise and decode, by
//                              the model of `weft plan`)
//     /windows         [w, 6]  latent cells: begin, end of frames, of rows, of columns
//     /owner             [w]   group of ranks, by window
//     /pieces          [p, 6]  what is decoded at a time; as windows
//     /piece_owner       [p]   rank, by piece
//     /flops             [s]   operations of the whole job, by stage; 0: not counted
//   /ranks/host          [r]   name of the host
//     /device            [r]   name of the rank's GPU, else of its processor
//     /threads           [r]
//     /wall_seconds      [r]   from the job's begin to the rank's end of it
//     /peak_memory       [r]   bytes, resident, of the process
//     /bytes_sent        [r]   payload, to other ranks
//     /energy_joules     [r]   of its GPU until the last frame; NaN: not measured, 0: counted at
//                              the rank it shares the GPU with
//   /stages/names        [s]   of base/stages.h; an index into this is a stage elsewhere
//     /seconds         [r, s]  exclusive: time inside a nested span counts for that span's stage
//     /bytes           [r, s]  sums over spans
//     /flops           [r, s]  sums over spans
//     /device_peak_bytes [r, s]  the most GPU memory in use; 0 on CPUs and where not noted
//   /spans/RANK        [n, 6]  stage, begin, end (s since the job began, by rank 0's clock), bytes,
//                              step (of denoising, from 0; in decode: the piece; -1: none), flops
//   /result                    attributes:
//     frames                   written
//     encoder_seconds          of the encoder's thread, which runs beside the rest
//     retries                  attempts of a batch before this one
//     resumed_steps            steps that an earlier run had done
//     seam_frames, seam_rows, seam_columns   seam figures (render/seam_meter.h); absent: no seam
//     warping_error            temporal consistency; absent: not measured
//     price_per_gpu_hour       as given by the user; absent: not given
//
// /stages/seconds, bytes and flops follow from the spans: they are for readers without this header.
//
// Schema 1 (weft 0.1 before 2026-12) lacks /command, slurm_job, fingerprint, hash, device,
// energy_joules, flops, retries, resumed_steps and of /plan all but windows, owner, pieces and
// piece_owner; its spans have four columns, in seconds since each process began.

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "weft/grid/box.h"
#include "weft/grid/process_grid.h"
#include "weft/render/seam_meter.h"
#include "weft/run/console.h"

namespace weft {

struct ModelFile {
  std::string name;  // "transformer/diffusion_pytorch_model.safetensors"
  std::int64_t bytes = 0;
  std::string hash;  // 16 hexadecimal digits; "" in schema 1
  friend bool operator==(const ModelFile&, const ModelFile&) = default;
};

/// Everything in the file, in its order.
struct RunRecord {
  std::filesystem::path path;  // where it was read from; not stored
  int schema = 2;              // of the file it was read from; written is always 2

  // Provenance.
  std::string weft_version;
  std::string written;    // set by write_run_record() when empty
  std::string command;    // "" in schema 1
  std::string slurm_job;  // "" outside Slurm
  std::vector<std::string> versions;
  std::vector<std::pair<std::string, std::string>> config;  // by name when read

  // The clip, defaults of the model filled in.
  std::int64_t width = 0, height = 0, frames = 0, steps = 0;
  double fps = 0, guidance_scale = 0, guidance_scale_2 = 0, flow_shift = 0;

  // The model.
  std::string model, model_path, model_fingerprint;
  std::int64_t layers = 0, dim = 0;
  std::vector<ModelFile> model_files;

  // The plan.
  std::string device, precision;  // "" in schema 1
  ProcessGrid grid;
  std::vector<Box> windows, pieces;
  std::vector<int> owner, piece_owner;
  std::array<double, stage_count> flops{};
  double predicted_seconds = 0, predicted_speedup = 0;

  // What happened.
  std::vector<RankReport> ranks;  // by rank, at least one
  std::int64_t frames_made = 0;
  double encoder_seconds = 0;
  std::int64_t retries = 0, resumed_steps = 0;
  SeamMeter::Figure seams;
  std::optional<double> warping_error;
  std::optional<double> price_per_gpu_hour;

  /// The value of a job key, "" when the record has none of that name.
  [[nodiscard]] std::string config_value(const std::string& key) const;
  /// Of the slowest rank.
  [[nodiscard]] double wall_seconds() const;
  /// The same without loading the model: the largest over the ranks.
  [[nodiscard]] double busy_seconds() const;
  /// Exclusive seconds of a stage on the rank that spent the most.
  [[nodiscard]] double stage_seconds(Stage stage) const;
  /// Seconds of each denoising step of this run, on the rank that took the longest; empty when the
  /// record does not tell (schema 1).
  [[nodiscard]] std::vector<double> step_seconds() const;
  /// Of all GPUs; nothing unless every rank was measured.
  [[nodiscard]] std::optional<double> energy_joules() const;
  /// How long the clip had its ranks for itself: the wall seconds, or in a batch the time to the
  /// last frame, since what the encoder has left then runs beside the next job.
  [[nodiscard]] double held_seconds() const;
  /// price x ranks x held_seconds() / 3600: a rank is a GPU, or on CPUs the share that the price is
  /// for. Nothing without a price.
  [[nodiscard]] std::optional<double> cost() const;
  /// cost() / seconds of finished clip, which are frames_made / fps.
  [[nodiscard]] std::optional<double> cost_per_second() const;
};

/// Lines for people: energy and cost, each where it is known. They say how they were reckoned.
std::string cost_text(const RunRecord& record);

/// Error: path and cause. Nothing under the final name until it is whole.
void write_run_record(const std::filesystem::path& path, const RunRecord& record);

/// InputError with file and object: not an HDF5 file, not a run record of weft, of a newer schema,
/// damaged, or with values that contradict each other.
RunRecord read_run_record(const std::filesystem::path& path);

}  // namespace weft
