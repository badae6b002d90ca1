// Receives a job as typed, hands a checked and planned one to render_job. All problems at once,
// before anything is computed.
#include <algorithm>

#include "weft/device/device_api.h"
#include "weft/run/render_job.h"

#include "output_paths.h"

namespace weft {
namespace {

/// Frames per second and steps that the published pipelines use (spec 1).
double default_fps(const ModelFolder& model) { return model.expand_timesteps ? 24 : 16; }

void fill_sampling(Clip& clip, const Job& job, const ModelFolder& model) {
  clip.prompt = job.prompt;
  clip.negative_prompt = job.negative_prompt;
  clip.cleaning = job.text_cleaning == "fix" ? TextCleaning::fix : TextCleaning::basic;
  clip.has_image = !job.image.empty();
  clip.seed = job.seed;
  clip.noise = job.noise == "philox" ? NoiseKind::philox : NoiseKind::torch;
  clip.sampler = job.sampler;
  clip.steps = job.steps.value_or(50);
  clip.guidance_scale = job.guidance_scale.value_or(5.0);
  clip.guidance_scale_2 = job.guidance_scale_2.value_or(clip.guidance_scale);
  clip.flow_shift = job.flow_shift.value_or(model.scheduler.flow_shift);
  clip.boundary = job.boundary_ratio.value_or(model.boundary_ratio.value_or(0)) *
                  static_cast<double>(model.scheduler.train_steps);
  clip.fps = job.fps.value_or(default_fps(model));
  clip.decode = job.decode == "tiles" ? DecodeKind::tiles : DecodeKind::exact;
}

/// A prompt longer than the model reads would be cut off silently: refuse it instead.
void check_prompt(const Tokenizer& tokenizer, const char* key, const std::string& prompt,
                  const Clip& clip, Problems& problems) {
  const auto length = static_cast<int>(clip.text_length);
  try {
    int cut = 0;
    static_cast<void>(tokenizer.encode(clean_prompt(prompt, clip.cleaning), length, &cut));
    if (cut > 0) {
      problems.add("{}: {} tokens, of which the model reads {}: shorten it", key, length - 1 + cut,
                   length - 1);
    }
  } catch (const InputError& e) {
    problems.add("{}: {}", key, e.what());
  }
}

/// What the model says about the job's sizes and prompts.
void check_clip(const Job& job, PreparedJob& made, Problems& problems) {
  Clip& clip = made.clip;
  Problems of_size;
  set_size(clip, {job.width.value_or(0), job.height.value_or(0), job.frames.value_or(0)},
           made.model, of_size);
  if (of_size.empty()) {
    const bool one = job.window == "none";
    set_window(clip,
               one ? std::array{clip.width, clip.height, clip.frames} : parse_size(job.window),
               job.overlap, made.model, of_size);
  }
  for (const std::string& p : of_size.list()) problems.add("{}", p);
  if (!job.image.empty() && !made.model.expand_timesteps) {
    problems.add("image: {} makes clips from text alone; the 2.2 5B model takes a first frame",
                 made.model.name);
  }
  problems.collect([&] {
    const Tokenizer tokenizer(made.model.path / "tokenizer");
    check_prompt(tokenizer, "prompt", job.prompt, clip, problems);
    check_prompt(tokenizer, "negative-prompt", job.negative_prompt, clip, problems);
  });
}

void check_device(const Job& job, Problems& problems) {
  if (job.device == "cuda" && !cuda_absent_reason().empty()) {
    problems.add("device: cuda was asked for, but {}", cuda_absent_reason());
  }
}

/// What only rank 0 checks: it reads the image and writes the files.
void check_rank_0(const Job& job, JobUse use, PreparedJob& made, Problems& problems) {
  if (std::filesystem::is_regular_file(job.image)) {  // else check_job() has complained
    problems.collect([&] { made.image = read_image(job.image); });
  }
  if (use == JobUse::render && !job.output.empty()) {
    check_video_output(job.output, video_options(job, made.clip, made.model), problems);
    check_side_files(job, problems);
    check_free_space(job, made.clip, problems);
  }
}

// Lists of problems travel as one text, each closed by a zero.
std::string joined(const std::vector<std::string>& problems) {
  std::string text;
  for (const std::string& p : problems) text += p + '\0';
  return text;
}
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> problems;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\0', begin);
    problems.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return problems;
}

/// The union of all ranks' problems on every rank; one that rank 0 does not have names the first
/// rank that has it.
void throw_if_any_rank_has_problems(const Communicator& comm, const Problems& mine) {
  const auto texts = comm.gather_strings(joined(mine.list()), 0);
  std::vector<std::string> told, merged;
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    for (const std::string& problem : split(texts[rank])) {
      if (std::ranges::find(told, problem) != told.end()) continue;
      told.push_back(problem);
      merged.push_back(rank == 0 ? problem : fmt::format("rank {}: {}", rank, problem));
    }
  }
  std::string all = joined(merged);
  comm.broadcast_string(all, 0);
  if (!all.empty()) throw InputError(split(all));
}

/// The checks of keys, less those of keys about which the command line was already told.
void add_key_problems(const Job& job, Problems& problems) {
  Problems of_keys;
  check_job(job, of_keys);
  const std::vector<std::string> told = problems.list();
  for (const std::string& p : of_keys.list()) {
    const std::string key = p.substr(0, p.find(':') + 1);
    const auto names_key = [&](const std::string& other) { return other.starts_with(key); };
    if (!std::ranges::any_of(told, names_key)) problems.add("{}", p);
  }
}

}  // namespace

PreparedJob prepare_job(const Job& job, const Problems& found, const Communicator& comm,
                        int plan_ranks, JobUse use) {
  PreparedJob made;
  Problems problems = found;
  Job checked = job;
  if (use == JobUse::plan) {  // nothing is drawn or written: prompt and output may be left out
    if (checked.output.empty()) checked.output = "none.mp4";
    if (checked.prompt.empty()) checked.prompt = "none";
  }
  add_key_problems(checked, problems);
  check_device(job, problems);
  Problems of_model;
  if (!job.model.empty()) made.model = ModelFolder::read(job.model, of_model);
  fill_sampling(made.clip, job, made.model);
  if (!job.model.empty() && of_model.empty()) {
    made.model.check_weights(of_model);
    check_clip(job, made, of_model);
  }
  if (comm.rank() == 0) check_rank_0(job, use, made, of_model);
  for (const std::string& p : of_model.list()) problems.add("{}", p);
  throw_if_any_rank_has_problems(comm, problems);
  made.plan = make_render_plan(made.clip, made.model, plan_ranks);
  return made;
}

}  // namespace weft
