#include "html_unescape.h"

#include <sstream>
#include <unordered_map>

#include "unicode.h"

namespace weft {
namespace {

using EntityMap = std::unordered_map<std::u32string, std::u32string>;

std::u32string widen(std::string_view ascii) { return {ascii.begin(), ascii.end()}; }

EntityMap read_table() {
  EntityMap map;
  std::istringstream table(html_entity_table);
  for (std::string word; table >> word;) {
    const std::size_t equals = word.find('=');
    std::u32string value;
    std::istringstream code_points(word.substr(equals + 1));
    for (std::string hex; std::getline(code_points, hex, '+');) {
      value.push_back(static_cast<char32_t>(std::stoul(hex, nullptr, 16)));
    }
    map.emplace(widen(word.substr(0, equals)) + U';', value);
  }
  std::istringstream legacy(html_legacy_entities);
  for (std::string word; legacy >> word;) {
    const std::u32string name = widen(word);
    map.emplace(name, map.at(name + U';'));
  }
  return map;
}

const EntityMap& entities() {
  static const EntityMap map = read_table();
  return map;
}

/// The value of a hexadecimal digit, 16 for anything else.
std::uint32_t digit_of(char32_t c) {
  if (c >= U'0' && c <= U'9') return c - U'0';
  if (c >= U'a' && c <= U'f') return c - U'a' + 10;
  if (c >= U'A' && c <= U'F') return c - U'A' + 10;
  return 16;
}

std::u32string numeric_value(std::uint32_t number) {
  if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > 0x10FFFF) return U"\uFFFD";
  if (number == 0x0D) return U"\r";
  if (number >= 0x80 && number <= 0x9F) return {windows_1252(number)};
  const bool control = number < 0x20 && number != '\t' && number != '\n' && number != '\f';
  const bool no_character = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFEU) == 0xFFFEU;
  if (control || number == 0x7F || no_character) return {};
  return {static_cast<char32_t>(number)};
}

/// Appends what the reference at text[at] ('&') stands for; returns the characters it took.
std::size_t numeric_reference(std::u32string_view text, std::size_t at, std::u32string& out) {
  std::size_t i = at + 2;
  std::uint32_t base = 10;
  if (i < text.size() && (text[i] == U'x' || text[i] == U'X')) {
    base = 16;
    ++i;
  }
  const std::size_t digits = i;
  std::uint32_t number = 0;
  for (; i < text.size() && digit_of(text[i]) < base; ++i) {
    // More than enough to be out of range; further digits cannot overflow.
    number = std::min(number * base + digit_of(text[i]), std::uint32_t{0x110000});
  }
  if (i == digits) return 0;
  out += numeric_value(number);
  if (i < text.size() && text[i] == U';') ++i;
  return i - at;
}

std::size_t named_reference(std::u32string_view text, std::size_t at, std::u32string& out) {
  constexpr std::size_t longest = 32;  // no name is longer
  std::size_t end = at + 1;
  while (end < text.size() && end - at - 1 < longest &&
         std::u32string_view(U"\t\n\f <&#;").find(text[end]) == std::u32string_view::npos) {
    ++end;
  }
  if (end == at + 1) return 0;
  if (end < text.size() && text[end] == U';') ++end;
  const std::u32string name(text.substr(at + 1, end - at - 1));
  for (std::size_t length = name.size(); length >= 2; --length) {
    const auto found = entities().find(name.substr(0, length));
    if (found == entities().end()) continue;
    out += found->second;
    return length + 1;
  }
  return 0;
}

}  // namespace

std::u32string html_unescape(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t used = 0;
    if (text[at] == U'&') {
      const bool numeric = at + 1 < text.size() && text[at + 1] == U'#';
      used = numeric ? numeric_reference(text, at, out) : named_reference(text, at, out);
    }
    if (used == 0) {
      out.push_back(text[at]);
      used = 1;
    }
    at += used;
  }
  return out;
}

}  // namespace weft
