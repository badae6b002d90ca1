// A first frame given with --image: any still format that FFmpeg decodes.
#include "weft/base/error.h"
#include "weft/io/image.h"

#include "sandbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  const auto path = fuzz::write("x.png", fuzz::text_of(data, size));
  fuzz::only_errors([&] {
    const Image image = read_image(path);
    WEFT_ASSERT(image.width > 0 && image.height > 0 &&
                    image.rgb.size() == static_cast<std::size_t>(image.width * image.height * 3),
                "{} bytes for {} x {}", image.rgb.size(), image.width, image.height);
  });
  return 0;
}
