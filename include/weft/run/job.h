#pragma once
// A job: one clip to render. One table of keys serves the command line (--guidance-scale 5), the
// TOML job file (guidance-scale = 5) and the run record; flags override the file.

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "weft/base/error.h"

namespace weft {

/// What the user asked for. An empty optional means "the model's own default" and is filled by
/// resolve_job() (render layer) once the model folder has been read.
struct Job {
  std::filesystem::path model, output;
  std::filesystem::path image;   // "": none
  std::filesystem::path record;  // "": beside the clip; "none": no record
  std::string prompt;
  std::string storyboard;  // "FRAME: PROMPT | FRAME: PROMPT": what is drawn from later frames on
  std::string negative_prompt;
  std::optional<std::int64_t> width, height, frames;  // pixels, pixels, frames (4 k + 1)
  std::optional<int> steps;
  std::optional<double> guidance_scale, guidance_scale_2, flow_shift, boundary_ratio, fps;
  std::uint64_t seed = 0;
  std::string sampler = "unipc";        // unipc | euler
  std::string noise = "torch";          // torch | philox
  std::string text_cleaning = "basic";  // basic | fix
  std::string window = "auto";          // auto | none | WIDTHxHEIGHTxFRAMES in pixels and frames
  double overlap = 0.25;                // of a window, along each axis that has several
  bool window_shift = false;            // windows move from step to step
  std::string decode = "exact";         // exact | tiles
  std::string device = "auto";          // auto | cpu | cuda
  std::string precision = "auto";       // auto | f32 | bf16 | fp8
  std::string codec = "auto";           // auto | x264 | ffv1
  int crf = 18;
  std::string preset = "medium";
  std::string pix_fmt = "yuv420p";
  bool metadata = true;
  bool contact_sheet = false;                // PNG beside the clip: clip.sheet.png
  bool quality_figures = false;              // measure the warping error
  int threads = 0;                           // per rank; 0: cores / ranks of this host
  std::string parallel = "auto";             // auto | groups=N,cfg=N,ulysses=N,ring=N
  bool shard_weights = false;                // each rank keeps its part of the transformer
  std::filesystem::path network;             // figures of weft bench-net; "": assumed ones
  bool oversubscribe = false;                // ranks may share a GPU
  std::string checkpoint_every = "30s";      // a duration | off
  std::string time_limit;                    // a duration; "": none
  std::optional<double> price_per_gpu_hour;  // for the cost of the clip
  bool resume = true;                        // go on from a checkpoint that is there
};

/// What a key's value is, so that a job file may not say width = "wide".
enum class JobValue : std::uint8_t { text, path, choice, integer, number, toggle };

/// One key of the table.
struct JobKey {
  const char* name;     // "guidance-scale"
  const char* metavar;  // "FLOAT", "PATH", "unipc|euler", ...; "" for a switch (toggle)
  const char* help;     // one line, with unit and default
  const char*
      group;  // "What", "Sampling", "Windows and decoding", "Output", "Machine", "Stopping ..."
  JobValue type;
  /// Parses `text` into the job; throws InputError "NAME: what is wrong: what was expected" and
  /// leaves the job as it was. A toggle takes "true" or "false".
  std::function<void(Job& job, const std::string& text)> set;
  /// The value as set() would take it, "" when unset.
  std::function<std::string(const Job& job)> get;
};
/// In the order of groups and of help.
const std::vector<JobKey>& job_keys();

/// Reads a TOML job file over `job`: unknown keys are problems that name the nearest known key,
/// each with file and line. Relative paths in the file start from the file's folder, and no path
/// but `model` may lead out of it, unless weft has written the file itself (job_text() in a queue).
enum class JobFileFrom : std::uint8_t { anybody, weft };
void read_job_file(const std::filesystem::path& path, Job& job, Problems& problems,
                   JobFileFrom from = JobFileFrom::anybody);

/// Problems that need no model: missing model or output, empty prompt, steps < 1, frames not
/// 4 k + 1, numbers out of range or not finite, window syntax, overlap outside [0, 0.9], ...
/// Every value passes the same rule here as in JobKey::set, however it came into the job.
void check_job(const Job& job, Problems& problems);

/// "33: a moon | 65: a sun" to {{33, "a moon"}, {65, "a sun"}}. InputError: what is wrong in it,
/// also frames that do not rise.
struct SceneText {
  std::int64_t frame;
  std::string prompt;
};
std::vector<SceneText> parse_storyboard(const std::string& text);

/// "832x480x81" to {832, 480, 81}; nothing for any other text.
std::optional<std::array<std::int64_t, 3>> parse_size(const std::string& text);

}  // namespace weft
