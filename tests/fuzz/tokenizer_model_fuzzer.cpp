// A tokenizer's spiece.model out of a downloaded model folder, and a prompt through it.
#include <string>

#include "weft/base/error.h"
#include "weft/io/tokenizer.h"

#include "sandbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  fuzz::write("spiece.model", fuzz::text_of(data, size));
  fuzz::only_errors([] {
    const Tokenizer tokenizer(fuzz::folder());
    for (const char* prompt : {"", "a fox runs", "Ünïcode ﬁ 猫 ①½ \xF0\x9F\x9A\x80", "<pad></s>"}) {
      const auto ids = tokenizer.encode(prompt, 64);
      WEFT_ASSERT(!ids.empty() && ids.size() <= 64, "{} tokens", ids.size());
    }
  });
  return 0;
}
