// A prompt: both cleanings, then the tokenizer of weft-mini.
#include <string>

#include "weft/base/error.h"
#include "weft/io/tokenizer.h"

#include "sandbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weft;
  static const Tokenizer tokenizer(WEFT_ROOT "/models/weft-mini/tokenizer");
  const std::string text(fuzz::text_of(data, size));
  for (const TextCleaning cleaning : {TextCleaning::basic, TextCleaning::fix}) {
    fuzz::only_errors([&] {
      const std::string cleaned = clean_prompt(text, cleaning);
      int truncated = 0;
      const auto ids = tokenizer.encode(cleaned, 64, &truncated);
      WEFT_ASSERT(!ids.empty() && ids.size() <= 64, "{} tokens", ids.size());
      for (const std::int32_t id : ids) {
        WEFT_ASSERT(id >= 0 && id < tokenizer.vocabulary_size(), "token {}", id);
      }
    });
  }
  return 0;
}
