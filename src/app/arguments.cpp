#include "arguments.h"

#include <map>

#include <CLI/CLI.hpp>

#include "from_record.h"

namespace weft {
namespace {

constexpr const char* about =
    "weft renders AI video with the Wan 2.1 and 2.2 diffusion transformers as an MPI batch job.\n\n"
    "  weft render --model DIR --prompt \"a red kite\" -o clip.mp4\n"
    "  mpirun -n 4 weft batch prompts.csv -o clips --model DIR --ranks-per-job 2\n"
    "  mpirun -n 4 weft render --job clip.toml --seed 7 -o clip.mp4\n"
    "  weft plan --model DIR --width 3328 --height 480 --frames 81 --ranks 8";

/// What was typed for the options of one command, by key.
struct Typed {
  std::map<std::string, std::string> values;
  std::filesystem::path job_file;
};

void add_job_options(CLI::App& command, Typed& typed) {
  command.add_option("--job", typed.job_file, "TOML file with these keys; flags override it")
      ->group("What")
      ->type_name("FILE");
  for (const JobKey& key : job_keys()) {
    const std::string flag =
        std::string(key.name) == "output" ? "-o,--output" : "--" + std::string(key.name);
    std::string& value = typed.values[key.name];
    CLI::Option* option = nullptr;
    if (key.type == JobValue::toggle) {
      // --metadata and --no-metadata; also --metadata=false as in a job file.
      option = command.add_flag(flag + ",!--no-" + key.name, value, key.help);
    } else {
      option = command.add_option(flag, value, key.help)->type_name(key.metavar);
    }
    option->group(key.group)->take_last();
  }
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> long_flags(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

void add_unknown(const CLI::App& command, Problems& problems) {
  bool after_unknown_flag = false;  // what follows is most likely its value
  for (const std::string& word : command.remaining()) {
    const bool is_flag = word.starts_with("-");
    if (!is_flag && after_unknown_flag) {
      after_unknown_flag = false;
      continue;
    }
    after_unknown_flag = is_flag && word.find('=') == std::string::npos;
    const std::string flag = word.substr(0, word.find('='));
    const std::string near = is_flag ? nearest_name(flag, long_flags(command)) : "";
    problems.add("{}: unknown {}{}", word, is_flag ? "flag" : "argument",
                 near.empty() ? fmt::format("; see weft {} --help", command.get_name())
                              : fmt::format("; did you mean {}?", near));
  }
}

/// What a measurement of scaling needs of the command line.
void check_scale_folder(const Arguments& made, Problems& problems) {
  check_scale_arguments(made.scale, problems);
  if (!made.scale.from.empty()) return;  // -o is where scaling.json goes, if anywhere
  if (made.job.output.empty()) problems.add("output: name the folder of the records with -o DIR");
  if (!made.job.record.empty()) {
    problems.add("record: every run writes its own into the folder; leave this out");
  }
}

/// What a run over a folder needs of the command line.
void check_folder_arguments(const Arguments& made, Problems& problems) {
  if (made.job.output.empty()) problems.add("output: name the folder of the clips with -o DIR");
  if (!made.job.record.empty() && made.job.record != "none") {
    problems.add("record: each job writes its own beside its clip; only \"none\" is possible here");
  }
  if (made.path.empty() && (made.command == "sweep" || made.batch.dry_run)) {
    problems.add("{}: name the file to read", made.command);
  }
}

}  // namespace

Arguments parse_arguments(int argc, const char* const* argv, Problems& problems) {
  Arguments made;
  CLI::App app(about, "weft");
  app.set_version_flag("--version", std::string("weft ") + WEFT_VERSION);
  app.require_subcommand(0, 1);
  app.allow_extras();
  Typed typed;
  CLI::App* render = app.add_subcommand("render", "render one clip; under mpirun on all ranks");
  CLI::App* batch = app.add_subcommand(
      "batch", "render the clips of a list; any number of runs may share the folder");
  CLI::App* sweep = app.add_subcommand(
      "sweep", "render every combination of some values; a table and one sheet of all");
  CLI::App* scale = app.add_subcommand(
      "scale", "time one clip on 1, 2, 4, ... ranks, fit laws of speed-up, predict more ranks");
  CLI::App* plan = app.add_subcommand(
      "plan", "dry run: windows, who computes what, work, bytes, memory, predicted speed-up");
  CLI::App* bench_net = app.add_subcommand(
      "bench-net", "measure the network between the ranks of this run, for plans (--network)");
  CLI::App* inspect =
      app.add_subcommand("inspect", "print what a model folder or run record holds");
  CLI::App* report = app.add_subcommand(
      "report", "a page of run records: speed-up, stages, timelines, memory, frames");
  add_report_options(*report, made.report);
  CLI::App* compare = app.add_subcommand(
      "compare", "PSNR, SSIM and temporal consistency of two clips, frame by frame");
  add_compare_options(*compare, made.compare);
  add_job_options(*render, typed);
  std::filesystem::path from_record;
  render
      ->add_option("--from-record", from_record,
                   "run record (.h5) whose job to repeat; job file and flags override it")
      ->group("What")
      ->type_name("FILE");
  for (CLI::App* many : {batch, sweep}) {
    add_job_options(*many, typed);
    add_batch_options(*many, made.batch);
  }
  batch->add_option("list", made.path, "jobs: .csv, .jsonl or .toml")->type_name("LIST");
  batch->add_option("--status", made.batch.status, "tell how far the batch in a folder is")
      ->group("Batch")
      ->type_name("DIR");
  sweep->add_option("file", made.path, "axes and base, .toml")->type_name("FILE");
  add_job_options(*scale, typed);
  add_scale_options(*scale, made.scale);
  add_job_options(*plan, typed);
  plan->add_option("--ranks", made.ranks, "ranks to plan for (default: those of this run)")
      ->group("Machine")
      ->type_name("INT");
  plan->add_option("--ranks-per-node", made.ranks_per_node,
                   "of these on each node (default: up to 8)")
      ->group("Machine")
      ->type_name("INT");
  add_bench_net_options(*bench_net, made.bench_net);
  inspect->add_option("path", made.path, "model folder or run record (.h5)")->type_name("PATH");
  for (CLI::App* command : app.get_subcommands({})) {
    command->allow_extras();
    command->add_flag("--verbose", made.verbose, "log details")->group("Machine");
    command->add_flag("--quiet", made.quiet, "log only warnings and errors")->group("Machine");
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    made.help = app.help();
    return made;
  } catch (const CLI::CallForVersion&) {
    made.help = std::string("weft ") + WEFT_VERSION + "\n";
    return made;
  } catch (const CLI::ParseError& e) {
    problems.add("{}", e.what());
    return made;
  }
  if (app.get_subcommands().empty()) {
    const auto rest = app.remaining();
    if (rest.empty()) {
      made.help = app.help();
    } else {
      const std::string near = nearest_name(rest.front(), command_names(app));
      problems.add("{}: unknown command{}", rest.front(),
                   near.empty() ? "; see weft --help" : fmt::format("; did you mean {}?", near));
    }
    return made;
  }
  const CLI::App& command = *app.get_subcommands().front();
  made.command = command.get_name();
  for (const std::string& word : app.remaining()) problems.add("{}: unknown argument", word);
  add_unknown(command, problems);
  if (made.command == "inspect") {
    if (made.path.empty()) problems.add("inspect: name a model folder or a run record");
    return made;
  }
  if (made.command == "report") {
    check_report_arguments(made.report, problems);
    return made;
  }
  if (made.command == "compare") {
    check_compare_arguments(made.compare, problems);
    return made;
  }
  if (made.command == "bench-net") {
    check_bench_net_arguments(made.bench_net, problems);
    return made;
  }
  if (made.command == "plan" && command.count("--ranks") > 0 &&
      (made.ranks < 1 || made.ranks > 65536)) {
    problems.add("ranks: {}: expected 1 to 65536", made.ranks);
  }
  if (made.command == "plan" && command.count("--ranks-per-node") > 0 &&
      (made.ranks_per_node < 1 || made.ranks_per_node > 65536)) {
    problems.add("ranks-per-node: {}: expected 1 to 65536", made.ranks_per_node);
  }
  if (made.command == "batch" || made.command == "sweep") {
    check_batch_arguments(made.batch, problems);
    if (!made.batch.status.empty()) return made;
  }
  if (!from_record.empty()) {
    problems.collect([&] {
      made.repeated = read_run_record(from_record);
      take_from_record(*made.repeated, made.job, problems);
    });
  }
  if (!typed.job_file.empty()) read_job_file(typed.job_file, made.job, problems);
  for (const JobKey& key : job_keys()) {
    if (command.count("--" + std::string(key.name)) == 0) continue;
    problems.collect([&] { key.set(made.job, typed.values[key.name]); });
  }
  if (made.repeated) check_recorded_model(*made.repeated, made.job, problems);
  if (made.command == "batch" || made.command == "sweep") check_folder_arguments(made, problems);
  if (made.command == "scale") check_scale_folder(made, problems);
  return made;
}

}  // namespace weft
