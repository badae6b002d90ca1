// A whole model folder in which one configuration is fuzzed: the first byte says which. Read as
// `weft inspect` does: configurations, then names and shapes of the weights they ask for.
#include <array>
#include <fstream>
#include <iterator>
#include <string>

#include "weft/model/model_folder.h"

#include "inspect.h"
#include "sandbox.h"

namespace {

namespace fs = std::filesystem;
constexpr std::array files{"model_index.json",          "transformer/config.json",
                           "transformer_2/config.json", "vae/config.json",
                           "text_encoder/config.json",  "scheduler/scheduler_config.json"};
const fs::path whole = WEFT_ROOT "/tests/golden/tiny-wan22-a14b-sharded";

std::string original(const char* name) {
  std::ifstream in(whole / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Copies of all configurations, links to the weights.
void make_folder() {
  for (const auto& entry : fs::recursive_directory_iterator(whole)) {
    const fs::path copy = weft::fuzz::folder() / fs::relative(entry.path(), whole);
    if (entry.is_directory()) {
      fs::create_directories(copy);
    } else if (entry.path().extension() == ".safetensors") {
      fs::create_symlink(entry.path(), copy);
    } else {
      fs::copy_file(entry.path(), copy);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  if (size == 0) return 0;
  static const bool ready = (make_folder(), true);
  static_cast<void>(ready);
  const char* fuzzed = files[data[0] % files.size()];
  fuzz::write(fuzzed, fuzz::text_of(data + 1, size - 1));
  fuzz::only_errors([] { static_cast<void>(inspect(fuzz::folder())); });
  fuzz::write(fuzzed, original(fuzzed));
  return 0;
}
