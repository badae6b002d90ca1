// The table of job keys: one row serves the command line, the job file and the run record.
#include "weft/run/job.h"

#include <utility>

#include "job_rules.h"

namespace weft {
namespace {

constexpr const char* what = "What";
constexpr const char* sampling = "Sampling";
constexpr const char* windows = "Windows and decoding";
constexpr const char* output = "Output";
constexpr const char* machine = "Machine";
constexpr const char* stopping = "Stopping and going on";

void require(const char* name, const std::string& problem) {
  if (!problem.empty()) fail_input("{}: {}", name, problem);
}

template <class T>
std::string text_of(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "";
}
template <class T>
std::string text_of(const T& value) {
  return fmt::format("{}", value);
}

using Path = std::filesystem::path;

JobKey path_key(const char* name, Path Job::*member, const char* metavar, const char* group,
                const char* help) {
  return {name,
          metavar,
          help,
          group,
          JobValue::path,
          [=](Job& job, const std::string& text) { job.*member = text; },
          [=](const Job& job) { return (job.*member).string(); }};
}

JobKey text_key(const char* name, std::string Job::*member, TextRule rule, const char* metavar,
                const char* group, const char* help) {
  return {name,
          metavar,
          help,
          group,
          JobValue::text,
          [=](Job& job, const std::string& text) {
            require(name, rule(text));
            job.*member = text;
          },
          [=](const Job& job) { return job.*member; }};
}

JobKey choice_key(const char* name, std::string Job::*member, const char* choices,
                  const char* group, const char* help) {
  return {name,
          choices,
          help,
          group,
          JobValue::choice,
          [=](Job& job, const std::string& text) {
            require(name, choice_rule(choices, text));
            job.*member = text;
          },
          [=](const Job& job) { return job.*member; }};
}

JobKey toggle_key(const char* name, bool Job::*member, const char* group, const char* help) {
  return {name,
          "",
          help,
          group,
          JobValue::toggle,
          [=](Job& job, const std::string& text) { job.*member = parse_toggle(name, text); },
          [=](const Job& job) { return text_of(job.*member); }};
}

// T: int or std::int64_t, or an optional of one. Every rule's range fits an int where T needs it.
template <class T>
JobKey integer_key(const char* name, T Job::*member, IntegerRule rule, const char* group,
                   const char* help) {
  return {name,
          "INT",
          help,
          group,
          JobValue::integer,
          [=](Job& job, const std::string& text) {
            const std::int64_t value = parse_integer(name, text);
            require(name, rule(value));
            if constexpr (requires { typename T::value_type; }) {
              job.*member = static_cast<typename T::value_type>(value);
            } else {
              job.*member = static_cast<T>(value);
            }
          },
          [=](const Job& job) { return text_of(job.*member); }};
}

// T: double, or an optional of it.
template <class T>
JobKey number_key(const char* name, T Job::*member, NumberRule rule, const char* group,
                  const char* help) {
  return {name,
          "FLOAT",
          help,
          group,
          JobValue::number,
          [=](Job& job, const std::string& text) {
            const double value = parse_number(name, text);
            require(name, rule(value));
            job.*member = value;
          },
          [=](const Job& job) { return text_of(job.*member); }};
}

JobKey seed_key(const char* name, std::uint64_t Job::*member, const char* group, const char* help) {
  return {name,
          "INT",
          help,
          group,
          JobValue::integer,
          [=](Job& job, const std::string& text) { job.*member = parse_seed(name, text); },
          [=](const Job& job) { return text_of(job.*member); }};
}

std::vector<JobKey> make_keys() {
  return {
      path_key("model", &Job::model, "PATH", what,
               "folder of a Wan 2.1/2.2 model (diffusers layout)"),
      text_key("prompt", &Job::prompt, prompt_rule, "TEXT", what, "what to draw"),
      text_key("storyboard", &Job::storyboard, storyboard_rule, "FRAME: TEXT | ...", what,
               "prompts that take over from later frames on, one per window of frames"),
      text_key("negative-prompt", &Job::negative_prompt, negative_prompt_rule, "TEXT", what,
               "what to avoid (default: nothing)"),
      path_key("image", &Job::image, "PATH", what, "first frame, for image-to-video models"),
      integer_key("width", &Job::width, pixels_rule, what,
                  "pixels, a multiple of 16 (default: the model's)"),
      integer_key("height", &Job::height, pixels_rule, what,
                  "pixels, a multiple of 16 (default: the model's)"),
      integer_key("frames", &Job::frames, frames_rule, what,
                  "frames of the clip, 4 k + 1 (default: the model's)"),
      number_key("fps", &Job::fps, positive_rule, what,
                 "frames per second (default 16; 24 for the 2.2 5B)"),

      seed_key("seed", &Job::seed, sampling, "seed of the noise, 0 ... 2^64 - 1 (default 0)"),
      integer_key("steps", &Job::steps, steps_rule, sampling,
                  "denoising steps, 1 ... 1000 (default 50)"),
      number_key("guidance-scale", &Job::guidance_scale, not_negative_rule, sampling,
                 "pull towards the prompt; 1 or less: none (default 5)"),
      number_key("guidance-scale-2", &Job::guidance_scale_2, not_negative_rule, sampling,
                 "the same for the low-noise expert (default: guidance-scale)"),
      number_key("flow-shift", &Job::flow_shift, positive_rule, sampling,
                 "more than 1 spends more steps on high noise (default: the model's)"),
      number_key("boundary-ratio", &Job::boundary_ratio, fraction_rule, sampling,
                 "noise level where the experts change, 0 ... 1 (default: the model's)"),
      choice_key("sampler", &Job::sampler, "unipc|euler", sampling, "solver (default unipc)"),
      choice_key("noise", &Job::noise, "torch|philox", sampling,
                 "generator; torch matches diffusers on the CPU (default torch)"),
      choice_key(
          "text-cleaning", &Job::text_cleaning, "basic|fix", sampling,
          "of prompts: basic, or fix: also full-width letters, quotes, ligatures (default basic)"),

      text_key("window", &Job::window, window_rule, "auto|none|WxHxF", windows,
               "what one forward sees, in pixels and frames (default auto)"),
      number_key("overlap", &Job::overlap, overlap_rule, windows,
                 "of neighbouring windows, fraction of a window, 0 ... 0.9 (default 0.25)"),
      toggle_key("window-shift", &Job::window_shift, windows,
                 "move the windows from step to step, so that seams do not settle (default false)"),
      choice_key("decode", &Job::decode, "exact|tiles", windows,
                 "whole frames, or blended tiles that need less memory (default exact)"),

      path_key("output", &Job::output, "PATH", output,
               "clip to write: .mp4 .mov .mkv .y4m, or a PNG per frame as in out/%05d.png"),
      choice_key("codec", &Job::codec, "auto|x264|ffv1", output,
                 "auto: by the extension of the output (default auto)"),
      integer_key("crf", &Job::crf, crf_rule, output,
                  "x264 quality: 0 lossless ... 51 worst (default 18)"),
      choice_key("preset", &Job::preset,
                 "ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow", output,
                 "x264 effort (default medium)"),
      text_key("pix-fmt", &Job::pix_fmt, not_empty_rule, "NAME", output,
               "pixel format of the clip (default yuv420p)"),
      toggle_key("metadata", &Job::metadata, output,
                 "write the job into the clip's metadata (default true)"),
      toggle_key("contact-sheet", &Job::contact_sheet, output,
                 "also write a PNG of frames beside the clip (default false)"),
      toggle_key("quality-figures", &Job::quality_figures, output,
                 "measure temporal consistency by optical flow, some 30 ms a frame of 832 x 480 on "
                 "one core beside the encoder (default false)"),
      path_key("record", &Job::record, "PATH|none", output,
               "file for the run record (default: beside the clip, .record.h5)"),

      choice_key("device", &Job::device, "auto|cpu|cuda", machine,
                 "where to compute (default auto: cuda when there is one)"),
      choice_key("precision", &Job::precision, "auto|f32|bf16|fp8", machine,
                 "of the arithmetic; fp8 is faster and less exact (default: bf16 on cuda, f32 on "
                 "the cpu, which has no other)"),
      integer_key("threads", &Job::threads, threads_rule, machine,
                  "per rank; 0: the host's cores shared by its ranks (default 0)"),
      text_key(
          "parallel", &Job::parallel, parallel_rule, "auto|KIND=N,...", machine,
          "how ranks share the work: groups, cfg, ulysses, ring (default auto; see weft plan)"),
      path_key(
          "network", &Job::network, "FILE", machine,
          "figures of weft bench-net, by which the ranks' shares are chosen (default: assumed)"),
      toggle_key("shard-weights", &Job::shard_weights, machine,
                 "each rank of a group keeps its part of the transformer (default false)"),
      toggle_key("oversubscribe", &Job::oversubscribe, machine,
                 "several ranks may share a GPU (default false)"),

      number_key("price-per-gpu-hour", &Job::price_per_gpu_hour, not_negative_rule, machine,
                 "of a GPU, on CPUs of a rank: the cost of the clip is told (default: none)"),

      text_key("checkpoint-every", &Job::checkpoint_every, checkpoint_rule, "TIME|off", stopping,
               "keep the state of denoising so often, beside the clip (default 30s)"),
      text_key(
          "time-limit", &Job::time_limit, time_limit_rule, "TIME", stopping,
          "stop in time with a checkpoint and exit code 75: 90s, 15m, 1:30:00 (default: none)"),
      toggle_key("resume", &Job::resume, stopping,
                 "go on from a checkpoint of the same job (default true)"),
  };
}

}  // namespace

const std::vector<JobKey>& job_keys() {
  static const std::vector<JobKey> keys = make_keys();
  return keys;
}

void check_job(const Job& job, Problems& problems) {
  if (job.model.empty()) problems.add("model: missing: name the model's folder");
  if (job.output.empty()) {
    problems.add("output: missing: name the file to write, such as clip.mp4");
  }
  if (!job.image.empty() && !std::filesystem::is_regular_file(job.image)) {
    problems.add("image: {} is not a file that can be read", job.image.string());
  }
  for (const JobKey& key : job_keys()) {
    const std::string text = key.get(job);
    const bool unset =
        text.empty() && (key.type == JobValue::integer || key.type == JobValue::number);
    if (unset) continue;
    Job scratch;
    problems.collect([&] { key.set(scratch, text); });
  }
}

}  // namespace weft
