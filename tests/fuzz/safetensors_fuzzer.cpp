// One safetensors file: the header, then every byte of every tensor, as loading weights reads them.
#include <numeric>
#include <vector>

#include "weft/io/safetensors.h"

#include "sandbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  const auto path = fuzz::write("x.safetensors", fuzz::text_of(data, size));
  fuzz::only_errors([&] {
    const SafetensorsFile file(path);
    for (const auto& [name, tensor] : file.tensors()) {
      // Reads the first and the last byte that the header promises, and all of them as numbers.
      if (tensor.bytes > 0) static_cast<void>(tensor.data[0] ^ tensor.data[tensor.bytes - 1]);
      std::vector<float> values(static_cast<std::size_t>(tensor.shape.numel()));
      fuzz::only_errors([&, &stored = tensor] { convert_to_f32(stored, values.data()); });
    }
  });
  return 0;
}
