#include "text_fixes.h"

#include <cstdlib>
#include <memory>
#include <string_view>

#include <utf8proc.h>

#include "weft/base/error.h"

#include "unicode.h"

namespace weft {
namespace {

std::u32string normalised(const std::u32string& text, unsigned options) {
  const std::string utf8 = encode_utf8(text);
  utf8proc_uint8_t* mapped = nullptr;
  const auto bytes =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                   static_cast<utf8proc_ssize_t>(utf8.size()), &mapped,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | options));
  if (bytes < 0) fail("Unicode normalisation failed: {}", utf8proc_errmsg(bytes));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  return decode_utf8({reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(bytes)});
}

/// The letters of a ligature or digraph; "" for anything else.
std::u32string_view ligature(char32_t c) {
  switch (c) {
    case 0x0132:
      return U"IJ";
    case 0x0133:
      return U"ij";
    case 0x0149:
      return U"\u02BCn";
    case 0x01C4:
      return U"D\u017D";
    case 0x01C5:
      return U"D\u017E";
    case 0x01C6:
      return U"d\u017E";
    case 0x01C7:
      return U"LJ";
    case 0x01C8:
      return U"Lj";
    case 0x01C9:
      return U"lj";
    case 0x01CA:
      return U"NJ";
    case 0x01CB:
      return U"Nj";
    case 0x01CC:
      return U"nj";
    case 0x01F1:
      return U"DZ";
    case 0x01F2:
      return U"Dz";
    case 0x01F3:
      return U"dz";
    case 0xFB00:
      return U"ff";
    case 0xFB01:
      return U"fi";
    case 0xFB02:
      return U"fl";
    case 0xFB03:
      return U"ffi";
    case 0xFB04:
      return U"ffl";
    case 0xFB05:
      return U"\u017Ft";
    case 0xFB06:
      return U"st";
    default:
      return {};
  }
}

char32_t straight_quote(char32_t c) {
  if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) return U'\'';
  if (c >= 0x201C && c <= 0x201F) return U'"';
  return c;
}

bool is_removed(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

bool has_unusual_width(char32_t c) { return c == 0x3000 || (c >= 0xFF01 && c <= 0xFFEF); }

/// One character through the replacements that look at nothing else.
void append_fixed(char32_t c, std::u32string& out) {
  c = windows_1252(c);
  std::u32string letters;
  if (const auto parts = ligature(c); !parts.empty()) {
    letters = parts;
  } else if (has_unusual_width(c)) {
    letters = normalised(std::u32string(1, c), UTF8PROC_COMPAT);
  } else {
    letters = c;
  }
  for (const char32_t letter : letters) out.push_back(straight_quote(letter));
}

/// The length of the terminal escape at text[at]: ESC [ digits and semicolons, a letter. Else 0.
std::size_t terminal_escape(const std::u32string& text, std::size_t at) {
  if (text[at] != 0x1B || at + 1 >= text.size() || text[at + 1] != U'[') return 0;
  std::size_t end = at + 2;
  while (end < text.size() && (text[end] == U';' || utf8proc_category(static_cast<utf8proc_int32_t>(
                                                        text[end])) == UTF8PROC_CATEGORY_ND)) {
    ++end;
  }
  const bool letter = end < text.size() && ((text[end] >= U'a' && text[end] <= U'z') ||
                                            (text[end] >= U'A' && text[end] <= U'Z'));
  return letter ? end + 1 - at : 0;
}

std::u32string without_controls(const std::u32string& text) {
  std::u32string out;
  std::size_t at = 0;
  while (at < text.size()) {
    if (const std::size_t escape = terminal_escape(text, at); escape != 0) {
      at += escape;
      continue;
    }
    const char32_t c = text[at++];
    if (c == U'\r') {
      if (at < text.size() && text[at] == U'\n') ++at;
      out.push_back(U'\n');
    } else if (c == 0x2028 || c == 0x2029 || c == 0x85) {
      out.push_back(U'\n');
    } else if (!is_removed(c)) {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::u32string fix_text(const std::u32string& text) {
  std::u32string fixed;
  fixed.reserve(text.size());
  for (const char32_t c : text) append_fixed(c, fixed);
  return normalised(without_controls(fixed), 0);
}

}  // namespace weft
