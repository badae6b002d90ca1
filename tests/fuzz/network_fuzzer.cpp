// The file of weft bench-net that plans read.
#include "weft/run/network_file.h"

#include "sandbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  fuzz::write("network.json", fuzz::text_of(data, size));
  fuzz::only_errors([] {
    const auto path = fuzz::folder() / "network.json";
    static_cast<void>(network_figures(read_network_text(path), path, DeviceKind::cpu));
  });
  return 0;
}
