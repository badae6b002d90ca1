// Receives a job and numbers of ranks, leaves a record of every run.
#include "weft/scaling/measure.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>

#include "weft/base/log.h"
#include "weft/run/describe_run.h"
#include "weft/run/stop_request.h"

#include "scale_worker.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

/// The nearest folder above that is there: the run's own is made when all is checked.
fs::path existing_folder(fs::path folder) {
  std::error_code ignored;
  if (folder.empty()) return ".";  // told with the command line
  folder = fs::absolute(folder);
  while (!folder.empty() && !fs::is_directory(folder, ignored)) folder = folder.parent_path();
  return folder;
}

std::string clip_name(const ScaleOptions& options, int ranks) {
  return fmt::format("ranks{}.{}", ranks, options.job.codec == "ffv1" ? "mkv" : "mp4");
}

/// What was asked for, or the usual; problems for what the run cannot give.
std::vector<int> chosen_ranks(const ScaleOptions& options, const Communicator& world,
                              Problems& problems) {
  if (options.ranks.empty()) return usual_ranks(world.size());
  for (const int n : options.ranks) {
    if (n > world.size()) {
      problems.add(
          "ranks-list: {} ranks are asked for and the run has {}: start more, or leave it "
          "out",
          n, world.size());
    }
  }
  return options.ranks;
}

/// Records of other work in the folder would be mixed with this one's.
void check_known_records(const ScaleOptions& options, const std::map<int, ScaleCase>& cases,
                         const Session& session, Problems& problems) {
  for (const auto& [ranks, made] : cases) {
    const WorkKey mine = work_key(describe_run(made.job, made.prepared, session));
    for (int run = 1; run <= options.repeats; ++run) {
      const fs::path file = scale_record(options.folder, ranks, run);
      std::error_code none;
      if (!fs::exists(file, none)) continue;
      Problems unreadable;
      unreadable.collect([&] {
        const WorkKey theirs = work_key(read_run_record(file));
        for (std::size_t k = 0; k < mine.size(); ++k) {
          if (theirs[k] == mine[k]) continue;
          problems.add(
              "{}: the record there has {} \"{}\" and this run \"{}\": use another folder "
              "(-o), or remove it",
              file.string(), mine[k].first, theirs[k].second, mine[k].second);
        }
      });
      for (const std::string& p : unreadable.list()) {
        problems.add("{}; remove it to measure anew", p);
      }
    }
  }
}

/// Everything that can be checked; the same on every rank.
std::map<int, ScaleCase> prepare_cases(const ScaleOptions& options, const Problems& found,
                                       const Communicator& world, const Session& session) {
  Problems problems = found;
  const std::vector<int> list = chosen_ranks(options, world, problems);
  Job base = options.job;
  base.checkpoint_every = "off";
  base.resume = false;
  base.output = existing_folder(options.folder) / clip_name(options, 1);
  // What is wrong with the job as given is told once, not for every number of ranks.
  const int fewest = std::min(list.front(), world.size());
  const Communicator group = world.split(world.rank() < fewest ? 0 : 1);
  Problems of_base;
  if (world.rank() < fewest) {
    of_base.collect([&] {
      static_cast<void>(prepare_job(base, problems, group, session, fewest, JobUse::render));
    });
  }
  throw_if_any_rank_has_problems(world, of_base);
  const PreparedJob one = prepare_job(base, {}, world, session, 1, JobUse::plan);

  std::map<int, ScaleCase> cases;
  Problems of_cases;
  for (const int n : list) {
    ScaleCase& made = cases[n];
    made.ranks = n;
    made.job = job_on(base, one, options.weak, n);
    made.group = std::make_unique<Communicator>(world.split(world.rank() < n ? 0 : 1));
    if (world.rank() >= n) continue;
    of_cases.collect([&] {
      made.prepared = prepare_job(made.job, {}, *made.group, session, n, JobUse::render);
    });
  }
  if (world.rank() == 0 && of_cases.empty()) {
    check_known_records(options, cases, session, of_cases);
  }
  throw_if_any_rank_has_problems(world, of_cases);
  return cases;
}

struct Run {
  int ranks, number;
};

/// In the order in which they are made, those that are there left out; the same on every rank.
std::vector<Run> open_runs(const ScaleOptions& options, const std::map<int, ScaleCase>& cases,
                           const Communicator& world) {
  std::vector<Run> all;
  for (int number = 1; number <= options.repeats; ++number) {
    std::vector<Run> pass;
    for (const auto& [ranks, made] : cases) pass.push_back({ranks, number});
    if (number % 2 == 0) std::reverse(pass.begin(), pass.end());
    all.insert(all.end(), pass.begin(), pass.end());
  }
  std::string there;
  if (world.rank() == 0) {
    for (const Run& run : all) {
      there += fs::exists(scale_record(options.folder, run.ranks, run.number)) ? '1' : '0';
    }
  }
  world.broadcast_string(there, 0);
  std::vector<Run> open;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (there[i] == '0') open.push_back(all[i]);
  }
  if (world.rank() == 0 && open.size() < all.size()) {
    std::puts(fmt::format("{} of {} runs have their record and are not repeated",
                          all.size() - open.size(), all.size())
                  .c_str());
  }
  return open;
}

}  // namespace

std::vector<int> usual_ranks(int all) {
  std::vector<int> made;
  for (int n = 1; n < all; n *= 2) made.push_back(n);
  made.push_back(all);
  return made;
}

std::vector<int> parse_ranks(const std::string& text) {
  std::set<int> made;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    int n = 0;
    const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), n);
    if (error != std::errc() || rest != word.data() + word.size() || n < 1) {
      fail_input("ranks-list: \"{}\" in \"{}\": expected numbers of ranks as in 1,2,4", word, text);
    }
    if (!made.insert(n).second) fail_input("ranks-list: {} is in \"{}\" twice", n, text);
    begin = end + 1;
  }
  return {made.begin(), made.end()};
}

fs::path scale_record(const fs::path& folder, int ranks, int run) {
  return folder / fmt::format("ranks{}-run{}.record.h5", ranks, run);
}

Job job_on(const Job& job, const PreparedJob& prepared, Weak weak, int ranks) {
  Job made = job;
  const std::int64_t factor = prepared.model.time_factor();
  const std::int64_t latent_frames = (prepared.clip.frames - 1) / factor + 1;
  if (weak == Weak::frames) made.frames = (ranks * latent_frames - 1) * factor + 1;
  if (weak == Weak::width) made.width = ranks * prepared.clip.width;
  return made;
}

std::vector<std::string> measuring_notes(const ScaleOptions& options, const Communicator& world,
                                         const Session& session) {
  const double processors = processors_for_rank(world, session);
  int threads = threads_for_rank(world, session);
  if (options.job.threads > 0) threads = options.job.threads;
  const bool cpu = machine_of(options.job).device == DeviceKind::cpu;
  std::vector<std::string> notes;
  if (world.max(cpu && threads > processors + 1e-6 ? 1 : 0) > 0) {
    notes.push_back(
        fmt::format("All ranks together have more threads ({} a rank) than processors ({:.2g} a "
                    "rank): from where "
                    "they share them, more ranks cannot be faster, whatever the program does.",
                    threads, processors));
  }
  if (world.max(!cpu && gpu_share(session).shared ? 1 : 0) > 0) {
    notes.emplace_back("Ranks share a GPU: more of them cannot be faster.");
  }
  return notes;
}

bool measure_scaling(const ScaleOptions& options, const Problems& found, const Communicator& world,
                     const Session& session) {
  std::map<int, ScaleCase> cases = prepare_cases(options, found, world, session);
  const bool first = world.rank() == 0;
  if (first) {
    std::error_code error;
    fs::create_directories(options.folder, error);
    if (error) fail("{}: {}", options.folder.string(), error.message());
  }
  const std::vector<Run> open = open_runs(options, cases, world);
  if (open.empty()) return true;
  ScaleWorker worker(cases, world, session);
  double longest = 0;
  for (const Run& run : open) {
    // A run that would be cut off is not begun.
    if (world.max(StopRequest::pending(stop_margin(longest)) ? 1 : 0) > 0) {
      if (first) std::puts("told to stop: run the same command again to go on");
      return false;
    }
    const double begin = now_seconds();
    const fs::path clip = options.folder / clip_name(options, run.ranks);
    const fs::path record = scale_record(options.folder, run.ranks, run.number);
    worker.run(run.ranks, clip, record);
    longest = std::max(longest, now_seconds() - begin);
    if (!first) continue;
    if (!options.keep_clips) fs::remove(clip);
    std::puts(fmt::format("{:>5} rank{} run {} of {}: {:.3f} s", run.ranks,
                          run.ranks == 1 ? ", " : "s,", run.number, options.repeats,
                          read_run_record(record).busy_seconds())
                  .c_str());
    std::fflush(stdout);
  }
  return true;
}

void check_scaling(const ScaleOptions& options, const Problems& found, const Communicator& world,
                   const Session& session) {
  const std::map<int, ScaleCase> cases = prepare_cases(options, found, world, session);
  if (world.rank() != 0) return;
  std::string text =
      " ranks  clip                    windows  grid                              seconds  "
      "speed-up\n";
  double all = 0;
  for (const auto& [ranks, made] : cases) {
    const PreparedJob& p = made.prepared;
    const PlanFigures f = plan_figures(p.plan, p.clip, p.model, p.machine);
    text += fmt::format("{:>6}  {:<22}  {:>7}  {:<30}  {:>9.4g}  {:>8.2f}\n", ranks,
                        fmt::format("{}x{}x{}", p.clip.width, p.clip.height, p.clip.frames),
                        p.plan.windows.windows.size(), p.plan.grid.str(), f.seconds, f.speedup());
    all += options.repeats * f.seconds;
  }
  text += fmt::format(
      "{} runs of each, {:.4g} s together by the plan's speeds, and {} short ones to "
      "warm up; nothing was written\n",
      options.repeats, all, cases.size());
  std::fputs(text.c_str(), stdout);
}

}  // namespace weft
