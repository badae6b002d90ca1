#include "weft/io/tokenizer.h"

#include "html_unescape.h"
#include "text_fixes.h"
#include "unicode.h"

namespace weft {
namespace {

/// White space at the ends goes, runs of it inside become one space.
std::u32string single_spaced(const std::u32string& text) {
  std::u32string out;
  out.reserve(text.size());
  bool gap = false;
  for (const char32_t c : text) {
    if (is_space(c)) {
      gap = !out.empty();
    } else {
      if (gap) out.push_back(U' ');
      gap = false;
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::string clean_prompt(const std::string& text, TextCleaning cleaning) {
  std::u32string cleaned = decode_utf8(text);
  if (cleaning == TextCleaning::fix) cleaned = fix_text(cleaned);
  // Twice, as the reference pipeline does: "&amp;lt;" becomes "<".
  cleaned = html_unescape(html_unescape(cleaned));
  return encode_utf8(single_spaced(cleaned));
}

}  // namespace weft
