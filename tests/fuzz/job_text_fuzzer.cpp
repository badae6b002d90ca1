// KEY=VALUE: the value of one key of a job as the command line gives it. What was taken must come
// back as a text that is taken again: the run record and job files rely on it.
#include <string>

#include "weft/run/job.h"

#include "sandbox.h"

namespace {

using namespace weft;

void set(const JobKey& key, const std::string& text) {
  Job job;
  key.set(job, text);
  const std::string taken = key.get(job);
  Job again;
  try {
    key.set(again, taken);
  } catch (const InputError& e) {
    WEFT_ASSERT(false, "{} gave a text that it does not take: {}", key.name, e.what());
  }
  WEFT_ASSERT(key.get(again) == taken, "{}: {} became {}", key.name, taken, key.get(again));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text_of(data, size);
  const std::size_t equals = input.find('=');
  if (equals == std::string_view::npos) return 0;
  const std::string text(input.substr(equals + 1));
  static_cast<void>(parse_size(text));
  fuzz::only_errors([&] { static_cast<void>(parse_storyboard(text)); });
  for (const JobKey& key : job_keys()) {
    if (key.name == input.substr(0, equals)) fuzz::only_errors([&] { set(key, text); });
  }
  return 0;
}
