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
void check_prompt_length(const ModelFolder& model, const Clip& clip, Problems& problems) {
  const Tokenizer tokenizer(model.path / "tokenizer");
  const auto check = [&](const char* key, const std::string& prompt) {
    problems.collect([&] {
      int cut = 0;
      const auto length = static_cast<int>(clip.text_length);
      static_cast<void>(tokenizer.encode(clean_prompt(prompt, clip.cleaning), length, &cut));
      if (cut > 0) {
        problems.add("{}: {} tokens, of which the model reads {}: shorten it", key,
                     length - 1 + cut, length - 1);
      }
    });
  };
  check("prompt", clip.prompt);
  check("negative-prompt", clip.negative_prompt);
}

void check_device(const Job& job, Problems& problems) {
  if (job.device == "cuda" && cuda_device_api() == nullptr) {
    problems.add("device: cuda was asked for, but {}", cuda_absent_reason());
  }
}

/// What only rank 0 checks: it reads the image and writes the files.
void check_rank_0(const Job& job, const Clip& clip, JobUse use, PreparedJob& made,
                  Problems& problems) {
  if (clip.has_image && !made.model.expand_timesteps) {
    problems.add("image: {} makes clips from text alone; the 2.2 5B model takes a first frame",
                 made.model.name);
  } else if (clip.has_image) {
    problems.collect([&] { made.image = read_image(job.image); });
  }
  if (use == JobUse::render) {
    check_video_output(job.output, video_options(job, clip, made.model), problems);
    check_side_files(job, problems);
  }
}

/// The union of all ranks' problems on every rank; those that only some ranks have name them.
void throw_if_any_rank_has_problems(const Communicator& comm, const Problems& mine) {
  std::string text;
  for (const std::string& p : mine.list()) text += p + '\0';
  std::string all;
  const auto lists = comm.gather_strings(text, 0);
  std::vector<std::string> merged;
  for (std::size_t rank = 0; rank < lists.size(); ++rank) {
    for (std::size_t begin = 0; begin < lists[rank].size();) {
      const std::size_t end = lists[rank].find('\0', begin);
      std::string problem = lists[rank].substr(begin, end - begin);
      begin = end + 1;
      if (rank > 0 && lists[0].find(problem) == std::string::npos) {
        problem = fmt::format("rank {}: {}", rank, problem);
        // A file that is missing on a whole node is reported once.
        const auto same = [&](const std::string& other) {
          return other.substr(other.find(": ") + 1) == problem.substr(problem.find(": ") + 1);
        };
        if (std::ranges::any_of(merged, same)) continue;
      } else if (rank > 0) {
        continue;
      }
      merged.push_back(std::move(problem));
    }
  }
  for (const std::string& p : merged) all += p + '\0';
  comm.broadcast_string(all, 0);
  std::vector<std::string> everyones;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = all.find('\0', begin);
    everyones.push_back(all.substr(begin, end - begin));
    begin = end + 1;
  }
  if (!everyones.empty()) throw InputError(everyones);
}

}  // namespace

PreparedJob prepare_job(const Job& job, const Communicator& comm, int plan_ranks, JobUse use) {
  PreparedJob made;
  Problems problems;
  Job checked = job;
  if (use == JobUse::plan && checked.output.empty()) checked.output = "none.mp4";
  check_job(checked, problems);
  check_device(job, problems);
  if (!job.model.empty()) {
    Problems of_model;
    made.model = ModelFolder::read(job.model, of_model);
    if (of_model.empty()) {
      made.model.check_weights(of_model);
      fill_sampling(made.clip, job, made.model);
      set_size(made.clip, {job.width.value_or(0), job.height.value_or(0), job.frames.value_or(0)},
               made.model, of_model);
      if (of_model.empty()) {
        const auto window = parse_size(job.window);
        const bool one = job.window == "none";
        set_window(made.clip,
                   one ? std::array{made.clip.width, made.clip.height, made.clip.frames} : window,
                   job.overlap, made.model, of_model);
      }
      of_model.collect([&] { check_prompt_length(made.model, made.clip, of_model); });
      if (comm.rank() == 0) check_rank_0(job, made.clip, use, made, of_model);
    }
    for (const std::string& p : of_model.list()) problems.add("{}", p);
  }
  throw_if_any_rank_has_problems(comm, problems);
  made.plan = make_render_plan(made.clip, made.model, plan_ranks);
  return made;
}

}  // namespace weft
