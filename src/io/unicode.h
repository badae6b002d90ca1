#pragma once
// Text as code points, and the few character tables that prompt cleaning needs.

#include <string>
#include <string_view>

namespace weft {

/// InputError names the byte where `text` stops being UTF-8, or holds U+0000.
std::u32string decode_utf8(std::string_view text);
std::string encode_utf8(std::u32string_view text);

/// What Windows-1252 has at a C1 control (U+0080-U+009F); other code points, and the five that it
/// leaves undefined, come back as they are.
char32_t windows_1252(char32_t c);

/// Unicode white space as text tools split on it, the separators U+001C-U+001F included.
bool is_space(char32_t c);

}  // namespace weft
