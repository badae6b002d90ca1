// A list of jobs; the first byte says whether CSV, JSON lines or TOML. Each job that was taken must
// come back the same from the job file that a queue keeps of it.
#include <array>

#include "weft/run/job_list.h"

#include "sandbox.h"

namespace {

using namespace weft;

void check_text(const Job& job) {
  const auto path = fuzz::write("again.toml", job_text(job));
  Job again;
  Problems problems;
  read_job_file(path, again, problems, JobFileFrom::weft);
  WEFT_ASSERT(problems.empty(), "{}\nin\n{}", fmt::join(problems.list(), "\n"), job_text(job));
  for (const JobKey& key : job_keys()) {
    if (key.type == JobValue::path) continue;  // the text makes it absolute
    WEFT_ASSERT(key.get(again) == key.get(job), "{}: {} became {}", key.name, key.get(job),
                key.get(again));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::array names{"jobs.csv", "jobs.jsonl", "jobs.toml"};
  if (size == 0) return 0;
  const auto path = fuzz::write(names[data[0] % names.size()], fuzz::text_of(data + 1, size - 1));
  fuzz::only_errors([&] {
    Job defaults;
    defaults.model = "model";
    Problems problems;
    const auto jobs = read_job_list(path, defaults, problems);
    for (std::size_t i = 0; i < std::min<std::size_t>(jobs.size(), 3); ++i) check_text(jobs[i].job);
  });
  return 0;
}
