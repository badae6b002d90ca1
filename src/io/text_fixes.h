#pragma once
// Repairs of typical damage in typed and pasted prompts.

#include <string>

namespace weft {

/// Replaces C1 controls by the Windows-1252 characters they were meant to be, Latin ligatures by
/// letters, full-width and half-width forms by their usual width, curly quotes by straight ones,
/// every line break by "\n"; removes terminal escapes and control characters; normalises to NFC.
/// Doing it twice changes nothing more.
std::u32string fix_text(const std::u32string& text);

}  // namespace weft
