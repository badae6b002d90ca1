// A checkpoint, damaged or of someone else, beside the clip of a job that is to go on.
#include "weft/base/error.h"
#include "weft/base/log.h"
#include "weft/run/checkpoint.h"

#include "sandbox.h"

/// A size out of the file that no memory could hold is refused by malloc(), as it should be.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
/// The HDF5 library itself loses some bytes when it refuses a damaged file.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  static const bool quiet = (log_init(LogLevel::error, -1), true);
  static_cast<void>(quiet);
  const auto path = fuzz::write("clip.checkpoint.h5", fuzz::text_of(data, size));
  fuzz::only_errors([&] {
    const CheckpointFiles files(path, {{"seed", "7"}, {"prompt", "a fox"}});
    const auto state = files.read();
    for (std::size_t i = 1; state && i < state->windows.size(); ++i) {
      WEFT_ASSERT(state->windows[i - 1].window <= state->windows[i].window, "windows not sorted");
    }
  });
  return 0;
}
