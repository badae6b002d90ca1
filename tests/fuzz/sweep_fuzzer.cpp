// A sweep file, and the description that `weft sweep` prints of it.
#include "weft/run/sweep.h"

#include "sandbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  const auto path = fuzz::write("sweep.toml", fuzz::text_of(data, size));
  fuzz::only_errors([&] {
    Job defaults;
    defaults.model = "model";
    defaults.prompt = "a fox";
    Problems problems;
    const Sweep sweep = read_sweep(path, defaults, problems);
    static_cast<void>(describe(sweep));
  });
  return 0;
}
