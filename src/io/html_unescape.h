#pragma once
// Character references of HTML text.

#include <string>
#include <string_view>

namespace weft {

extern const char* const html_entity_table;     // "name=HEX+HEX name=HEX ..."
extern const char* const html_legacy_entities;  // "name name ..."

/// Replaces named and numeric character references as an HTML 5 parser does for text: the longest
/// name counts, old names need no semicolon, references to what is no character vanish.
std::u32string html_unescape(std::u32string_view text);

}  // namespace weft
