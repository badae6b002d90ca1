// A TOML job file, then the checks that need no model.
#include "weft/run/job.h"

#include "sandbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  const auto path = fuzz::write("job.toml", fuzz::text_of(data, size));
  fuzz::only_errors([&] {
    Job job;
    Problems problems;
    read_job_file(path, job, problems);
    job.image.clear();  // its existence is asked of the file system, which is no parsing
    check_job(job, problems);
    problems.throw_if_any();
  });
  return 0;
}
