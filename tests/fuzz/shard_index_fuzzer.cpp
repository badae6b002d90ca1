// The index of sharded weights, with two shards beside it that hold the tensors "a" and "b".
#include <string>

#include "weft/io/safetensors.h"

#include "sandbox.h"

namespace {

std::string shard_of(const std::string& tensor) {
  const std::string header =
      "{\"" + tensor + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  return static_cast<char>(header.size()) + std::string(7, '\0') + header + "1234";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  static const bool ready = [] {
    fuzz::write("model-1.safetensors", shard_of("a"));
    fuzz::write("model-2.safetensors", shard_of("b"));
    return true;
  }();
  static_cast<void>(ready);
  fuzz::write("model.safetensors.index.json", fuzz::text_of(data, size));
  fuzz::only_errors([] {
    const TensorFiles files(fuzz::folder(), "model");
    for (const std::string& name : files.names()) static_cast<void>(files.find(name)->bytes);
  });
  return 0;
}
