// Receives a job as typed, hands a checked and planned one to render_job. All problems at once,
// before anything is computed.
#include <algorithm>
#include <set>

#include "weft/device/device_api.h"
#include "weft/io/flow_meter.h"
#include "weft/run/engine.h"
#include "weft/run/network_file.h"
#include "weft/run/render_job.h"

#include "job_checks.h"
#include "job_rules.h"
#include "output_paths.h"

namespace weft {
namespace {

/// Frames per second and steps that the published pipelines use (spec 1).
double default_fps(const ModelFolder& model) { return model.expand_timesteps ? 24 : 16; }

void fill_sampling(Clip& clip, const Job& job, const ModelFolder& model) {
  clip.scenes = {{0, job.prompt}};
  if (storyboard_rule(job.storyboard).empty()) {  // else check_job() complains
    for (const SceneText& scene : parse_storyboard(job.storyboard)) {
      clip.scenes.push_back({scene.frame, scene.prompt});
    }
  }
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
  clip.window_shift = job.window_shift;
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

/// Every scene needs a window of frames whose middle lies in it, or it would never be seen.
void check_scenes(const PreparedJob& made, Problems& problems) {
  const Clip& clip = made.clip;
  if (clip.scenes.size() == 1) return;
  std::set<std::size_t> seen;
  for (const WindowPlan::Window& w : make_window_plan(clip.latents, clip.window).windows) {
    seen.insert(scene_of(clip, w.box.frames(), made.model.time_factor()));
  }
  for (std::size_t s = 0; s < clip.scenes.size(); ++s) {
    if (seen.contains(s)) continue;
    problems.add(
        "storyboard: no window of frames has its middle in the scene from frame {} on: use shorter "
        "windows (--window WxHxF), a clip longer than these {} frames, or other frames",
        clip.scenes[s].frame, clip.frames);
  }
}

/// What the model says about the job's sizes and prompts.
void check_clip(const Job& job, const KnownInputs::Model& model, PreparedJob& made,
                Problems& problems) {
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
  if (of_size.empty()) check_scenes(made, problems);
  for (const std::string& p : model.of_tokenizer.list()) problems.add("{}", p);
  if (!model.tokenizer) return;
  for (const Clip::Scene& scene : clip.scenes) {
    check_prompt(*model.tokenizer, scene.frame == 0 ? "prompt" : "storyboard", scene.prompt, clip,
                 problems);
  }
  check_prompt(*model.tokenizer, "negative-prompt", job.negative_prompt, clip, problems);
}

/// Shares of the transformer are kept by ranks that make the same forwards: one group of all.
void check_sharding(const RenderPlan& plan, const Machine& machine, Problems& problems) {
  if (!machine.shard_weights || plan.grid.group_ranks() == plan.ranks) return;
  problems.add(
      "shard-weights: needs all {} ranks in one group, and the grid is {}: use another number of "
      "ranks, or --parallel groups=1,cfg=...,ulysses=...,ring=...",
      plan.ranks, plan.grid.str());
}

/// What only rank 0 checks: it reads the image and the network file, and writes the files.
void check_rank_0(const Job& job, JobUse use, KnownInputs& known, PreparedJob& made,
                  Problems& problems) {
  if (std::filesystem::is_regular_file(job.image)) {  // else check_job() has complained
    problems.collect([&] { made.image = known.image(job.image); });
  }
  if (use == JobUse::render && job.quality_figures && !FlowMeter::available()) {
    problems.add(
        "quality-figures: this weft was built without OpenCV, which finds the optical flow: leave "
        "the key out, or install libopencv-video-dev and build again");
  }
  if (!job.network.empty()) {
    problems.collect([&] {
      made.machine.network =
          network_figures(known.network(job.network), job.network, made.machine.device);
    });
  }
  if (use == JobUse::render && !job.output.empty()) {
    VideoOptions options = video_options(job, made.clip, made.model);
    if (options.width == 0) options.width = options.height = 16;  // not known: its model was told
    check_video_output(job.output, options, problems);
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

Machine machine_of(const Job& job, int ranks_per_node) {
  // A plan may be made for GPUs on a machine that has none; prepare_job refuses to render there.
  const bool cuda = job.device == "cuda" || (job.device == "auto" && cuda_absent_reason().empty());
  const bool exact = job.precision == "f32" || (job.precision == "auto" && !cuda);
  Machine machine{.device = cuda ? DeviceKind::cuda : DeviceKind::cpu,
                  .precision = job.precision == "fp8" ? Precision::fp8
                               : exact                ? Precision::f32
                                                      : Precision::bf16,
                  .ranks_per_node = ranks_per_node,
                  .parallel = {},
                  .shard_weights = job.shard_weights,
                  .network = {}};
  if (parallel_rule(job.parallel).empty()) machine.parallel = parse_grid(job.parallel);
  return machine;
}

void check_device(const Job& job, JobUse use, const Session& session, Problems& problems) {
  const bool cuda = machine_of(job).device == DeviceKind::cuda;
  if (use == JobUse::render && cuda && gpu_share(session).shared && !job.oversubscribe) {
    problems.add(
        "device: {} ranks on {} and {} GPU{} visible there: start one rank per GPU, or let ranks "
        "share "
        "them with --oversubscribe",
        session.local_size(), session.host(), gpu_share(session).gpus,
        gpu_share(session).gpus == 1 ? " is" : "s are");
  }
  if (use == JobUse::render && job.device == "cuda" && !cuda_absent_reason().empty()) {
    problems.add("device: cuda was asked for, but {}", cuda_absent_reason());
  } else if (machine_of(job).device == DeviceKind::cpu &&
             (job.precision == "bf16" || job.precision == "fp8")) {
    problems.add("precision: {} needs a GPU: on the CPU only f32 is computed", job.precision);
  }
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

double free_gpu_memory() {
  const DeviceApi* api = cuda_device_api();
  return api == nullptr ? 0 : static_cast<double>(api->memory().free);
}

/// A job that will not fit the GPU is refused before anything is loaded.
void check_memory(const PreparedJob& made, int rank, double free, Problems& problems) {
  const Machine& machine = made.machine;
  if (machine.device != DeviceKind::cuda) return;
  const PlanFigures f = plan_figures(made.plan, made.clip, made.model, machine);
  const auto at = static_cast<std::size_t>(rank);
  const auto refuse = [&](const char* stage, double bytes, const char* remedy) {
    if (bytes <= free) return;
    problems.add("{} needs about {:.1f} GB of GPU memory and {:.1f} GB are free: {}", stage,
                 bytes / 1e9, free / 1e9, remedy);
  };
  refuse("encode_text", f.text_memory[at], "use a larger GPU, or --device cpu for a small model");
  refuse("denoise", f.denoise_memory[at],
         machine.precision == Precision::f32
             ? "use --precision bf16, or smaller windows (--window WxHxF)"
             : "use smaller windows (--window WxHxF), or a larger GPU");
  refuse("decode", f.decode_memory[at], "use --decode tiles, or a larger GPU");
}

PreparedJob check_alone(const Job& job, JobUse use, int rank, const Session& session,
                        KnownInputs& known, Problems& problems) {
  PreparedJob made;
  Job checked = job;
  if (use == JobUse::plan) {  // nothing is drawn or written: prompt and output may be left out
    if (checked.output.empty()) checked.output = "none.mp4";
    if (checked.prompt.empty()) checked.prompt = "none";
  }
  add_key_problems(checked, problems);
  check_device(job, use, session, problems);
  Problems of_model;
  const KnownInputs::Model* model = job.model.empty() ? nullptr : &known.model(job.model);
  if (model != nullptr) {
    made.model = model->folder;
    for (const std::string& p : model->unreadable.list()) of_model.add("{}", p);
  }
  made.machine = machine_of(job);
  fill_sampling(made.clip, job, made.model);
  if (model != nullptr && of_model.empty()) {
    for (const std::string& p : model->weights.list()) of_model.add("{}", p);
    check_clip(job, *model, made, of_model);
  }
  if (rank == 0) check_rank_0(job, use, known, made, of_model);
  for (const std::string& p : of_model.list()) problems.add("{}", p);
  return made;
}

void share_network(const Job& job, const Communicator& comm, KnownInputs& known,
                   PreparedJob& made) {
  if (job.network.empty()) return;
  std::string text = comm.rank() == 0 ? known.network(job.network) : "";
  comm.broadcast_string(text, 0);
  made.machine.network = network_figures(text, job.network, made.machine.device);
}

void make_plan(int ranks, int ranks_per_node, PreparedJob& made, Problems& problems) {
  made.machine.ranks_per_node = ranks_per_node;
  try {
    made.plan = make_render_plan(made.clip, made.model, ranks, made.machine);
    check_sharding(made.plan, made.machine, problems);
  } catch (const InputError& e) {
    problems.add("parallel: {}", e.what());
  }
}

PreparedJob prepare_job(const Job& job, const Problems& found, const Communicator& comm,
                        const Session& session, int plan_ranks, JobUse use,
                        int plan_ranks_per_node) {
  Problems problems = found;
  KnownInputs known;
  PreparedJob made = check_alone(job, use, comm.rank(), session, known, problems);
  throw_if_any_rank_has_problems(comm, problems);
  share_network(job, comm, known, made);
  Problems of_plan;
  constexpr int usual_ranks_per_node = 8;
  const int planned =
      plan_ranks_per_node > 0 ? plan_ranks_per_node : std::min(plan_ranks, usual_ranks_per_node);
  make_plan(plan_ranks, use == JobUse::render ? session.local_size() : planned, made, of_plan);
  throw_if_any_rank_has_problems(comm, of_plan);
  if (use == JobUse::render) {
    Problems of_memory;
    check_memory(made, comm.rank(), free_gpu_memory(), of_memory);
    throw_if_any_rank_has_problems(comm, of_memory);
  }
  return made;
}

}  // namespace weft
