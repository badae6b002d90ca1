// Whole models on one device: seconds of a forward, a prompt and a decode, as a share of what the
// device's own matmul does; or the error against results of diffusers.
#include <thread>

#include <CLI/CLI.hpp>

#include "weft/device/device_api.h"

#include "report.h"
#include "workloads.h"

namespace weft::bench {
namespace {

struct Arguments {
  std::string model = "wan2.1-1.3b";
  std::vector<std::string> stages{"forward", "text", "decode"};
  ClipSize clip{0, 0, 0};  // 0: the model's own
  std::int64_t tokens = 512, prompt_tokens = 128;
  std::int64_t chunk = 1;
  std::vector<std::string> precisions{"bf16"};
  std::string device = "cuda";
  int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  int repeat = 7, warm_up = 2;
  bool profile = false;
  std::string folder, check, json;
};

void describe(CLI::App& app, Arguments& a) {
  const std::vector<std::string> stages{"forward", "text", "decode"};
  const std::vector<std::string> precisions{"f32", "bf16", "fp8"};
  app.add_option("--model", a.model, "the sizes of this model, with random weights")
      ->check(CLI::IsMember(model_names()));
  app.add_option("--stages", a.stages, "what to time")
      ->delimiter(',')
      ->check(CLI::IsMember(stages));
  app.add_option("--width", a.clip.width, "pixels (default: the size the model was trained at)");
  app.add_option("--height", a.clip.height, "pixels");
  app.add_option("--frames", a.clip.frames, "frames of the clip");
  app.add_option("--tokens", a.tokens, "tokens of the prompt (text stage)")
      ->check(CLI::Range(1, 4096));
  app.add_option("--prompt-tokens", a.prompt_tokens,
                 "tokens of the prompt (forward stage); 512 leaves no pad rows to merge")
      ->check(CLI::Range(1, 512));
  app.add_option("--chunk", a.chunk, "latent frames that are decoded at a time")
      ->check(CLI::Range(1, 1000));
  app.add_option("--precision", a.precisions, "one or more; the CPU has f32 only")
      ->delimiter(',')
      ->check(CLI::IsMember(precisions));
  app.add_option("--device", a.device)->check(CLI::IsMember({"cuda", "cpu"}));
  app.add_option("--threads", a.threads, "of the CPU")->check(CLI::PositiveNumber);
  app.add_option("--repeat", a.repeat, "runs that count")->check(CLI::PositiveNumber);
  app.add_option("--warm-up", a.warm_up, "runs before them")->check(CLI::NonNegativeNumber);
  CLI::Option* profile = app.add_flag(
      "--profile", a.profile, "then run each stage once more and time every operation alone");
  CLI::Option* folder = app.add_option("--folder", a.folder,
                                       "weights for --check: a component's folder or a model's");
  app.add_option("--check", a.check,
                 "instead of timing: inputs and results of diffusers for one component "
                 "(tools/compare/diffusers_reference.py)")
      ->needs(folder)
      ->excludes(profile)
      ->type_name("FILE");
  folder->needs("--check")->type_name("DIR");
  app.add_option("--json", a.json, "write all figures here as well")->type_name("FILE");
}

Precision precision_of(const std::string& name) {
  return name == "f32" ? Precision::f32 : name == "bf16" ? Precision::bf16 : Precision::fp8;
}

std::unique_ptr<Ops> make_ops(const Arguments& a, Precision precision) {
  if (a.device == "cpu") return make_cpu_ops(a.threads);
  std::unique_ptr<Ops> ops = make_cuda_ops(0, precision);
  if (ops == nullptr) fail_input("--device cuda: {}; --device cpu works", cuda_absent_reason());
  return ops;
}

Workload make_workload(Ops& ops, const std::string& stage, const ModelSizes& model,
                       const Arguments& a) {
  if (stage == "forward") return make_forward(ops, model, a.clip, a.prompt_tokens);
  if (stage == "text") return make_text(ops, model, a.tokens);
  return make_decode(ops, model, a.clip, a.chunk);
}

void time_stages(const Arguments& a, Ops& ops, const std::string& precision, Report& report) {
  const ModelSizes model = model_sizes(a.model);
  const Ceiling ceiling = measure_ceiling(ops);
  report.add(precision, ceiling);
  ProfiledOps profiled(ops);
  Ops& subject = a.profile ? static_cast<Ops&>(profiled) : ops;
  for (const std::string& stage : a.stages) {
    const Workload workload = make_workload(subject, stage, model, a);
    reset_peak_memory(ops);
    const Timing timing = measure(ops, a.warm_up, a.repeat, workload.run);
    const Row row{model.name,
                  stage,
                  workload.size,
                  precision,
                  timing,
                  workload.flops,
                  ceiling.flops_per_second,
                  peak_memory(ops)};
    report.add(row);
    if (a.profile) report.add(row, profiled.profile(workload.run));
  }
}

/// Exit code: 1 when a check failed.
int run(const Arguments& a, Report& report) {
  bool good = true;
  for (const std::string& name : a.precisions) {
    const std::unique_ptr<Ops> ops = make_ops(a, precision_of(name));
    report.begin(name, ops->describe());
    if (a.check.empty()) {
      time_stages(a, *ops, name, report);
    } else {
      const CheckResult result = check(*ops, precision_of(name), a.folder, a.check);
      report.add(name, result);
      good = good && result.passed();
    }
  }
  if (!a.json.empty()) report.write(a.json);
  return good ? 0 : 1;
}

int main_of(int argc, char** argv) {
  Arguments a;
  CLI::App app("Times or checks whole models on one device.", "weft-bench-model");
  describe(app, a);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;  // 0: --help
  }
  if (a.device == "cpu") {
    if (app.count("--precision") > 0 && a.precisions != std::vector<std::string>{"f32"}) {
      fail_input("--device cpu: --precision f32 is the only one");
    }
    a.precisions = {"f32"};
  }
  const ModelSizes model = model_sizes(a.model);
  if (a.clip.width == 0) a.clip.width = model.native.width;
  if (a.clip.height == 0) a.clip.height = model.native.height;
  if (a.clip.frames == 0) a.clip.frames = model.native.frames;
  latent_shape(model, a.clip);  // refuses a wrong size before anything is measured

  std::string command = "weft-bench-model";
  for (int i = 1; i < argc; ++i) command += fmt::format(" {}", argv[i]);
  Report report(command);
  return run(a, report);
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  try {
    return weft::bench::main_of(argc, argv);
  } catch (const weft::InputError& e) {
    fmt::print(stderr, "weft-bench-model: {}\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "weft-bench-model: {}\n", e.what());
    return 1;
  }
}
