#pragma once
// Prompt text to token ids: the pipeline's cleaning, then the model folder's sentencepiece model.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace weft {

enum class TextCleaning {
  basic,  // HTML unescape twice, strip, Unicode white space runs to one space (as without ftfy)
  fix,    // before that, ftfy.fix_text's defaults except mojibake repair and its own HTML rule: C1
          // controls, ligatures, full-width to ASCII width, curly quotes to straight, line breaks,
          // terminal escapes, control characters, NFC
};

/// InputError when `text` is not valid UTF-8 or holds U+0000.
std::string clean_prompt(const std::string& text, TextCleaning cleaning);

class Tokenizer {
 public:
  /// Reads spiece.model (or tokenizer.model) in `folder`. InputError names what is missing.
  explicit Tokenizer(const std::filesystem::path& folder);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Ids of a cleaned prompt as sentencepiece gives them ("</s>" in a prompt is ordinary text),
  /// closed by end-of-sequence, at most `max_length` of them. `truncated` (may be null) tells how
  /// many pieces were cut off.
  [[nodiscard]] std::vector<std::int32_t> encode(const std::string& cleaned, int max_length = 512,
                                                 int* truncated = nullptr) const;
  [[nodiscard]] int vocabulary_size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
