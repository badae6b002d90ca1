// The lease of a job: whatever names a host, a worker or Slurm gives, what is written is read back.
// (A file with other contents fails its checksum; the raw input is tried all the same.)
#include "weft/base/error.h"
#include "weft/run/lease.h"

#include "sandbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  const std::string text(fuzz::text_of(data, size));
  fuzz::only_errors([&] {
    static_cast<void>(parse_lease(text));
    LeaseInfo info;
    info.token = "0123456789abcdef";
    info.host = info.worker = info.slurm_job = info.slurm_task = info.machine = text;
    info.status.state = text;
    info.timeout = static_cast<double>(size) / 3;
    const auto again = parse_lease(format_lease(info));
    WEFT_ASSERT(again && again->token == info.token, "a lease of {} is not read back", text);
  });
  return 0;
}
