#include "output_paths.h"

#include <unistd.h>

#include "weft/io/atomic_file.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

/// The output with its extension replaced; a numbered sequence gives the bare name.
fs::path beside(const fs::path& output, const std::string& ending) {
  const std::string stem = output.stem().string();
  const bool numbered = stem.find('%') != std::string::npos;
  return output.parent_path() / (numbered ? ending.substr(1) : stem + ending);
}

}  // namespace

VideoOptions video_options(const Job& job, const Clip& clip, const ModelFolder& model) {
  VideoOptions options{.width = clip.width,
                       .height = clip.height,
                       .fps = clip.fps,
                       .codec = job.codec,
                       .crf = job.crf,
                       .preset = job.preset,
                       .pix_fmt = job.pix_fmt,
                       .metadata = {}};
  if (!job.metadata) return options;
  options.metadata = {
      {"title", job.prompt},
      {"comment",
       fmt::format("AI-generated with weft {} and {}: seed {}, {} steps of {}, guidance {:g}, "
                   "shift {:g}",
                   WEFT_VERSION, model.name, job.seed, clip.steps, job.sampler, clip.guidance_scale,
                   clip.flow_shift)},
      {"ai_generated", "AI-generated"},
      {"weft_version", WEFT_VERSION},
      {"weft_model", model.name},
      {"weft_prompt", job.prompt},
      {"weft_negative_prompt", job.negative_prompt},
      {"weft_seed", std::to_string(job.seed)},
      {"weft_steps", std::to_string(clip.steps)},
      {"weft_size", fmt::format("{}x{}x{}", clip.width, clip.height, clip.frames)},
  };
  return options;
}

fs::path sheet_path(const Job& job) { return beside(job.output, ".sheet.png"); }

fs::path work_folder(const Job& job) { return beside(job.output, ".weft"); }

fs::path record_path(const Job& job) {
  if (job.record == "none") return {};
  return job.record.empty() ? beside(job.output, ".record.h5") : job.record;
}

fs::path checkpoint_path(const Job& job) { return work_folder(job) / "checkpoint.h5"; }

void remove_unfinished_files(const Job& job) {
  for (const fs::path& path :
       {job.output, sheet_path(job), record_path(job), checkpoint_path(job)}) {
    if (!path.empty()) remove_unfinished(path);
  }
}

void check_side_files(const Job& job, Problems& problems) {
  const fs::path record = record_path(job);
  if (record.empty() || job.record.empty()) return;  // beside the clip: checked with it
  const fs::path folder = record.has_parent_path() ? record.parent_path() : ".";
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    problems.add("record: {}: there is no folder {}; make it first", record.string(),
                 folder.string());
  } else if (access(folder.c_str(), W_OK) != 0) {
    problems.add("record: {}: the folder {} cannot be written", record.string(), folder.string());
  } else if (fs::is_directory(record, ignored)) {
    problems.add("record: {} is a folder; name a file", record.string());
  }
}

void check_free_space(const Job& job, const Clip& clip, Problems& problems) {
  const double raw = 3.0 * static_cast<double>(clip.width * clip.height * clip.frames);
  const std::string extension = job.output.extension().string();
  // Of raw RGB: y4m keeps half (4:2:0), lossless formats about as much, x264 rarely under 1/50.
  const double share =
      extension == ".y4m" || extension == ".png" || job.codec == "ffv1" ? 0.5 : 0.02;
  const fs::path folder = job.output.has_parent_path() ? job.output.parent_path() : ".";
  std::error_code unknown;
  const fs::space_info space = fs::space(folder, unknown);
  if (unknown) return;  // a missing folder is check_video_output()'s to tell
  if (static_cast<double>(space.available) < raw * share) {
    problems.add(
        "output: {}: {:.1f} MB are free there, the clip needs about {:.1f} MB: make room or "
        "write elsewhere",
        job.output.string(), static_cast<double>(space.available) / 1e6, raw * share / 1e6);
  }
}

}  // namespace weft
