#include "batch_files.h"

#include <string_view>

#include "output_paths.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

bool of_the_run(const JobKey& key) {
  const std::string_view name = key.name, group = key.group;
  return name == "output" || name == "record" || group.starts_with("Stopping") ||
         (group == "Machine" && name != "precision");
}

void copy_key(const JobKey& key, const Job& from, Job& to) {
  const std::string value = key.get(from);
  if (value != key.get(to)) key.set(to, value);
}

}  // namespace

fs::path batch_clip(const fs::path& folder, const std::string& id, const Job& job) {
  return folder / "jobs" / id / (job.codec == "ffv1" ? "clip.mkv" : "clip.mp4");
}

std::string stored_text(const Job& job, const Job& defaults) {
  Job stored;
  for (const JobKey& key : job_keys()) {
    const bool own = !of_the_run(key) || key.get(job) != key.get(defaults);
    if (own) copy_key(key, job, stored);
  }
  stored.output.clear();
  stored.record.clear();
  return job_text(stored);
}

Job stored_job(const fs::path& folder, const std::string& id, const Job& defaults) {
  Job job;
  for (const JobKey& key : job_keys()) {
    if (of_the_run(key)) copy_key(key, defaults, job);
  }
  Problems problems;
  read_job_file(folder / "jobs" / id / "job.toml", job, problems, JobFileFrom::weft);
  problems.throw_if_any();
  job.output = batch_clip(folder, id, job);
  return job;
}

std::string pack_job(const Job& job) {
  std::string text;
  for (const JobKey& key : job_keys()) text += key.get(job) + '\0';
  return text;
}

Job unpack_job(const std::string& text) {
  Job job;
  std::size_t begin = 0;
  for (const JobKey& key : job_keys()) {
    const std::size_t end = text.find('\0', begin);
    const std::string value = text.substr(begin, end - begin);
    if (value != key.get(job)) key.set(job, value);
    begin = end + 1;
  }
  return job;
}

void clear_job_folder(const Job& job) {
  remove_unfinished_files(job);
  std::error_code ignored;
  fs::create_directories(work_folder(job), ignored);  // else checkpoints say what is wrong
}

}  // namespace weft
