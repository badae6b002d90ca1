// Receives the jobs of a list, hands them to the queue with the work that each means.
#include "batch_check.h"

#include <algorithm>
#include <map>
#include <set>

#include "batch_files.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t most_problems = 50;

/// The nearest folder above that is there: a job's own is made later.
fs::path existing_folder(fs::path folder) {
  std::error_code ignored;
  while (!folder.empty() && !fs::is_directory(folder, ignored)) folder = folder.parent_path();
  return folder.empty() ? "." : folder;
}

/// Jobs with equal keys have equal plans: all that prompts and seeds do not touch.
std::string plan_key(const Job& job) {
  static const std::set<std::string> beside = {"prompt",        "negative-prompt", "seed",
                                               "text-cleaning", "image",           "output"};
  std::string text;
  for (const JobKey& key : job_keys()) {
    if (!beside.contains(key.name)) text += key.get(job) + '\0';
  }
  return text;
}

/// Checks jobs one by one, and counts the problems that are too many to list.
class ListCheck {
 public:
  ListCheck(const BatchOptions& options, int ranks, const Session& session)
      : folder_(existing_folder(fs::absolute(options.folder))), ranks_(ranks), session_(session) {}

  /// The job's work.
  double check(const ListedJob& listed) {
    Job job = listed.job;
    job.output = folder_ / (job.codec == "ffv1" ? "clip.mkv" : "clip.mp4");
    Problems problems;
    PreparedJob made = check_alone(job, JobUse::render, 0, session_, known_, problems);
    const double work = problems.empty() ? plan(job, made, problems) : 0;
    for (const std::string& p : problems.list()) add(listed.where, p);
    return work;
  }

  void add_to(Problems& problems) const {
    for (const std::string& p : list_) problems.add("{}", p);
    if (count_ > list_.size()) problems.add("... and {} more", count_ - list_.size());
  }

 private:
  double plan(const Job& job, PreparedJob& made, Problems& problems) {
    const auto [at, is_new] = works_.try_emplace(plan_key(job));
    Planned& planned = at->second;
    if (is_new) {
      make_plan(ranks_, session_.local_size(), made, planned.problems);
      if (planned.problems.empty()) {
        planned.work = work_of(plan_figures(made.plan, made.clip, made.model, made.machine));
        for (int rank = 0; rank < ranks_; ++rank) {
          if (!planned.problems.empty()) break;
          check_memory(made, rank, free_, planned.problems);
        }
      }
    }
    for (const std::string& p : planned.problems.list()) problems.add("{}", p);
    return planned.work;
  }

  void add(const std::string& where, const std::string& problem) {
    ++count_;
    if (list_.size() < most_problems) list_.push_back(where + ": " + problem);
  }

  struct Planned {
    double work = 0;
    Problems problems;
  };
  fs::path folder_;
  int ranks_;
  const Session& session_;
  KnownInputs known_;
  const double free_ = free_gpu_memory();
  std::map<std::string, Planned> works_;
  std::size_t count_ = 0;
  std::vector<std::string> list_;
};

/// One job for each kind of device that the list asks for; rank 0's list decides.
std::vector<Job> machines_of(const std::vector<ListedJob>& jobs, const Communicator& world) {
  std::map<std::string, Job> kinds;
  for (const ListedJob& listed : jobs) {
    Job kind;
    kind.device = listed.job.device;
    kind.precision = listed.job.precision;
    kind.oversubscribe = listed.job.oversubscribe;
    kinds.try_emplace(pack_job(kind), kind);
  }
  std::string text;
  for (const auto& [packed, kind] : kinds) text += packed + '\n';
  world.broadcast_string(text, 0);
  std::vector<Job> made;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    made.push_back(unpack_job(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return made;
}

}  // namespace

double work_of(const PlanFigures& figures) {
  return figures.flops_text + figures.flops_denoise + figures.flops_decode;
}

std::vector<QueueJob> check_jobs(const std::vector<ListedJob>& jobs, const BatchOptions& options,
                                 const Problems& found, int ranks_per_job,
                                 const Communicator& world, const Session& session) {
  std::vector<QueueJob> made;
  Problems problems = found;
  for (const Job& kind : machines_of(jobs, world))
    check_device(kind, JobUse::render, session, problems);
  if (world.rank() == 0) {
    ListCheck check(options, ranks_per_job, session);
    for (const ListedJob& listed : jobs) {
      made.push_back({.id = listed.id,
                      .text = stored_text(listed.job, options.defaults),
                      .priority = listed.priority,
                      .work = check.check(listed),
                      .index = static_cast<int>(made.size())});
    }
    check.add_to(problems);
  }
  throw_if_any_rank_has_problems(world, problems);
  return made;
}

}  // namespace weft
